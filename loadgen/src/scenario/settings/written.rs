//! Values of a scenario file by their [`Notation`]: texts, and numbers where a text would be one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::scenario::notation::Notation;

/// A value, read and written by its notation.
struct Written<T>(T);

impl<'de, T: Notation> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByNotation(PhantomData))
    }
}

impl<T: Notation> Serialize for Written<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.write())
    }
}

struct ByNotation<T>(PhantomData<T>);

impl<T: Notation> Visitor<'_> for ByNotation<T> {
    type Value = Written<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Written<T>, E> {
        T::read(text).map(Written).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Written<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Written<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Written<T>, E> {
        self.visit_str(&number.to_string())
    }
}

pub fn deserialize<'de, T: Notation, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Written::deserialize(deserializer).map(|written| Some(written.0))
}

#[allow(clippy::ref_option)] // the form that serde asks for
pub fn serialize<T: Notation, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(Written).serialize(serializer)
}

/// Lists of such values.
pub mod list {
    use super::{Deserialize, Deserializer, Notation, Serializer, Written};

    pub fn deserialize<'de, T: Notation, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let written = Vec::<Written<T>>::deserialize(deserializer)?;
        Ok(written.into_iter().map(|written| written.0).collect())
    }

    pub fn serialize<T: Notation, S: Serializer>(
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(Written))
    }
}

/// `[[fault]]`: the parts of a fault's text as keys of their own.
pub mod faults {
    use super::{Deserialize, Deserializer, Error, Serialize, Serializer};
    use crate::scenario::Fault;

    #[derive(Serialize, Deserialize)]
    #[serde(
        deny_unknown_fields,
        expecting = "sections: [[fault]] with kind, at and lasts below it"
    )]
    struct Table {
        kind: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
        at: String,
        lasts: String,
    }

    /// A number, or a text such as `1GiB`.
    #[derive(Serialize, Deserialize)]
    #[serde(
        untagged,
        expecting = "a number, or a text such as \"1GiB\" or \"5ms~2ms\""
    )]
    enum Amount {
        Number(u64),
        Text(String),
    }

    struct AsTable(Fault);

    impl<'de> Deserialize<'de> for AsTable {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Table {
                kind,
                amount,
                at,
                lasts,
            } = Table::deserialize(deserializer)?;
            let amount = amount.map_or_else(String::new, |amount| match amount {
                Amount::Number(number) => format!("={number}"),
                Amount::Text(text) => format!("={text}"),
            });
            format!("{kind}{amount}@{at}+{lasts}")
                .parse::<Fault>()
                .map(AsTable)
                .map_err(D::Error::custom)
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Fault>, D::Error> {
        let tables = Vec::<AsTable>::deserialize(deserializer)?;
        Ok(tables.into_iter().map(|table| table.0).collect())
    }

    pub fn serialize<S: Serializer>(faults: &[Fault], serializer: S) -> Result<S::Ok, S::Error> {
        let table = |fault: &Fault| {
            let text = fault.to_string();
            let (what, when) = text.split_once('@').unwrap_or((&text, ""));
            let (at, lasts) = when.split_once('+').unwrap_or((when, ""));
            let (kind, amount) = match what.split_once('=') {
                Some((kind, amount)) => (kind, Some(Amount::Text(amount.to_owned()))),
                None => (what, None),
            };
            Table {
                kind: kind.to_owned(),
                amount,
                at: at.to_owned(),
                lasts: lasts.to_owned(),
            }
        };
        serializer.collect_seq(faults.iter().map(table))
    }
}
