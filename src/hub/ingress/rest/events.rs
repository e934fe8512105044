//! What a phone missed (DESIGN section 4): exactly that, or the word to begin anew.

use crate::hub::routes::Routes;

use super::super::Phone;

pub(super) fn routes() -> Routes<Phone> {
    Routes::new()
}
