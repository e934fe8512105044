"""A Socket.IO client driven as driver.mjs, for one namespace named in the command."""

import json
import sys
import threading

import socketio

lock = threading.Lock()


def report(**line):
    with lock:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


client = socketio.Client(reconnection=False)
namespace = "/"


def connect(url, space, auth=None, transports=None):
    global namespace
    namespace = space
    client.on("connect", lambda: report(open=client.transport()) or report(connect=client.get_sid(space)), namespace=space)
    client.on("connect_error", lambda why: report(connect_error=why.get("message", why) if isinstance(why, dict) else str(why)), namespace=space)
    client.on("disconnect", lambda reason=None: report(disconnect=str(reason)), namespace=space)
    client.on("*", lambda name, *args: report(event=name, data=args[0] if args else None, args=len(args)), namespace=space)
    try:
        client.connect(url, auth=auth, transports=transports, namespaces=[space], wait=False)
    except socketio.exceptions.ConnectionError as error:
        report(connect_error=str(error))


for line in sys.stdin:
    command = json.loads(line)
    if "connect" in command:
        connect(**command["connect"])
    if "emit" in command:
        name, *args = command["emit"]
        answer = None
        if "ack" in command:
            answer = lambda data=None, number=command["ack"]: report(ack=number, data=data)
        client.emit(name, args[0] if args else None, namespace=namespace, callback=answer)
    if "close" in command:
        client.disconnect()
client.disconnect()
