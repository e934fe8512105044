//! The table of keys: what a key is, and how a struct of settings is declared. Knows no key by name.

use super::{error::Origin, reader::Reader};

/// Whether a changed value takes effect at a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// At once.
    Live,
    /// At the next start.
    Restart,
}

/// An environment variable that sets a key.
pub struct EnvName {
    pub name: &'static str,
    /// What an old word means today; `None` if the text is taken as it is.
    pub(super) translate: fn(&str) -> Option<&'static str>,
    /// The server we replace ignored this variable: what cannot be used is reported and passed over.
    pub(super) lenient: bool,
}

impl EnvName {
    pub(super) const fn strict(name: &'static str) -> Self {
        Self::translated(name, |_| None)
    }

    pub(super) const fn translated(name: &'static str, translate: fn(&str) -> Option<&'static str>) -> Self {
        Self {
            name,
            translate,
            lenient: false,
        }
    }

    pub(super) const fn lenient(name: &'static str) -> Self {
        Self {
            lenient: true,
            ..Self::strict(name)
        }
    }
}

/// The value of a key that nobody set.
pub enum Preset {
    /// This text; empty means unset.
    Text(&'static str),
    /// Follows from others: how the reference says it, and how it is found.
    Derived(&'static str, fn(&Reader<'_>) -> Derived),
}

/// A default that follows from something else; or why there is none: a remedy, or nothing more to say because what
/// it follows from has been refused itself.
pub type Derived = Result<(String, Origin), Option<&'static str>>;

/// One key: what the reference, the parser, the reload and the errors know about it.
pub struct Key {
    /// With its table: `listen.port`.
    pub name: &'static str,
    /// What it means, one or two sentences.
    pub doc: &'static str,
    /// The type of its values, in words.
    pub kind: fn() -> String,
    pub preset: Preset,
    pub env: &'static [EnvName],
    /// Smallest and largest allowed value, as one would write them.
    pub bounds: Option<(&'static str, &'static str)>,
    pub reload: Reload,
}

impl Key {
    /// What a value must be, in words, with its bounds.
    pub fn expectation(&self) -> String {
        match self.bounds {
            Some((least, most)) => format!("{}, {least} to {most}", (self.kind)()),
            None => (self.kind)(),
        }
    }
}

/// Declares a struct of settings. Each line is at once a field, a key of the file, and a row of the reference:
/// documentation; `name: type = default [, env [..]] [, within (least, most)] => Live|Restart`.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        $name:ident at $table:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $ty:ty = $preset:expr
                    $(, env [$($env:expr),+])? $(, within $bounds:expr)? => $reload:ident;
            )+
        }
        $(tables { $( $(#[doc = $sub_doc:literal])+ $sub:ident: $sub_ty:ident, )+ })?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $ty, )+
            $($( $(#[doc = $sub_doc])+ pub $sub: $sub_ty, )+)?
        }

        impl $name {
            /// The keys of this table, without those of tables below it.
            pub const KEYS: &'static [Key] = &[$(Key {
                name: concat!($table, stringify!($field)),
                doc: concat!($($doc),+),
                kind: <$ty as Setting>::kind,
                preset: $preset,
                env: &[$($($env),+)?],
                bounds: settings!(@bounds $($bounds)?),
                reload: Reload::$reload,
            }),+];

            /// Chooses every value. `None` if one could not be; the reader knows which.
            pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
                let mut keys = Self::KEYS.iter(); // as many as there are fields, in their order
                $( let $field = keys.next().and_then(|key| from.take::<$ty>(key)); )+
                $($( let $sub = $sub_ty::read(from); )+)?
                Some(Self { $($field: $field?,)+ $($($sub: $sub?,)+)? })
            }

            /// Calls `see` with every key and its value, tables below included.
            pub(super) fn visit(&self, see: &mut dyn FnMut(&'static Key, &dyn Show)) {
                let mut keys = Self::KEYS.iter();
                $( if let Some(key) = keys.next() { see(key, &self.$field); } )+
                $($( self.$sub.visit(see); )+)?
            }

            /// Calls `see` with every key whose value differs in `new`.
            pub(super) fn compare(&self, new: &Self, see: &mut dyn FnMut(&'static Key, &dyn Show, &dyn Show)) {
                let mut keys = Self::KEYS.iter();
                $( if let Some(key) = keys.next() && self.$field != new.$field {
                    see(key, &self.$field, &new.$field);
                } )+
                $($( self.$sub.compare(&new.$sub, see); )+)?
            }

            /// Takes from `new` what may change while we run, and nothing else.
            pub(super) fn adopt_live(&mut self, new: &Self) {
                $( if matches!(Reload::$reload, Reload::Live) { self.$field = new.$field.clone(); } )+
                $($( self.$sub.adopt_live(&new.$sub); )+)?
            }

            /// Every key from here down, in the order of the reference.
            pub fn keys() -> Vec<&'static Key> {
                Self::KEYS.iter()$($(.chain($sub_ty::keys()))+)?.collect()
            }
        }
    };
    (@bounds) => { None };
    (@bounds $bounds:expr) => { Some($bounds) };
}
pub(super) use settings;
