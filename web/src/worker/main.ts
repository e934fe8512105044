/** The service worker. */

import { showPushes } from "./push";
import { keepShell } from "./shell";

keepShell();
showPushes();
