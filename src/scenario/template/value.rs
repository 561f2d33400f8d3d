//! What variables stand for, and how their values are written.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{MissingValue, Template, Vars};

/// What a variable stands for.
#[derive(Debug, Clone)]
pub(in crate::scenario) enum Var {
    ClientId,
    ClientIndex,
    Group,
    Room,
    Run,
    Seq,
    Count,
    NowMs,
    NowS,
    Uuid,
    Stamp,
    StampLen,
    Body,
    Env(String),
    Captured(usize),
    Column(String),
    Defined(Arc<Definition>),
}

/// A variable of `[vars]`: a template, or a computation over one.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Definition {
    pub(in crate::scenario) of: Template,
    pub(in crate::scenario) how: Computation,
}

/// What is done with the text of a [`Definition`].
#[derive(Debug, Clone)]
pub(in crate::scenario) enum Computation {
    Text,
    Md5,
    Sha256,
    HmacSha256 { key: Template },
}

/// How a value is written: `{token|json}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    None,
    Json,
    Base64,
    Hex,
    Url,
}

impl Var {
    /// Whether its value differs from publication to publication.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Self::Seq | Self::Count | Self::NowMs | Self::NowS | Self::Uuid | Self::Stamp | Self::StampLen | Self::Body => true,
            Self::Defined(definition) => {
                let key_is_late = matches!(&definition.how, Computation::HmacSha256 { key } if key.vars().iter().any(|v| v.is_late()));
                key_is_late || definition.of.vars().iter().any(|v| v.is_late())
            }
            _ => false,
        }
    }

    /// Whether it is the environment's alone, and so the same for every client.
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Self::Env(_) => true,
            Self::Defined(definition) => {
                let key = match &definition.how {
                    Computation::HmacSha256 { key } => key.vars(),
                    _ => Vec::new(),
                };
                definition.of.vars().into_iter().chain(key).all(Self::is_shared)
            }
            _ => false,
        }
    }

    /// Whether only publications have it.
    pub(super) fn is_of_publication(&self) -> bool {
        match self {
            Self::Seq | Self::Stamp | Self::StampLen | Self::Body => true,
            Self::Defined(definition) => definition.of.of_publication(),
            _ => false,
        }
    }

    pub(super) fn value(&self, vars: &Vars<'_>) -> Result<Vec<u8>, MissingValue> {
        let missing = |what: String| Err(MissingValue(what));
        Ok(match self {
            Self::ClientId => vars.client.to_string().into(),
            Self::ClientIndex => vars.index.to_string().into(),
            Self::Group => vars.group.into(),
            Self::Room => vars.room.into(),
            Self::Run => format!("{:08x}", vars.run.0).into(),
            Self::Seq => vars.seq.to_string().into(),
            Self::Count => vars.count.to_string().into(),
            Self::NowMs => vars.now_ms.to_string().into(),
            Self::NowS => (vars.now_ms / 1000).to_string().into(),
            Self::Uuid => uuid(vars.random).into(),
            Self::Stamp => vars.payload.into(),
            Self::StampLen => vars.payload.len().to_string().into(),
            Self::Body => vars.body.into(),
            Self::Env(name) => match vars.env.get(name) {
                Some(value) => value.clone().into(),
                None => return missing(format!("the environment has no {name}")),
            },
            Self::Captured(slot) => match vars.captured.get(*slot) {
                Some(value) => value.into(),
                None => return missing("a value is needed that was not captured yet".into()),
            },
            Self::Column(name) => match vars.row.and_then(|row| row.get(name)) {
                Some(value) => value.into(),
                None => return missing(format!("the feeder has no column {name}")),
            },
            Self::Defined(definition) => definition.value(vars)?,
        })
    }
}

impl Definition {
    fn value(&self, vars: &Vars<'_>) -> Result<Vec<u8>, MissingValue> {
        let text = self.of.render(vars)?;
        Ok(match &self.how {
            Computation::Text => text,
            Computation::Md5 => hex(&md5::Md5::digest(&text)),
            Computation::Sha256 => hex(&Sha256::digest(&text)),
            Computation::HmacSha256 { key } => {
                let key = key.render(vars)?;
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else {
                    return Err(MissingValue("the key cannot be used".into()));
                };
                mac.update(&text);
                hex(&mac.finalize().into_bytes())
            }
        })
    }
}

impl Filter {
    pub(super) fn write(self, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(value),
            Self::Base64 => out.extend_from_slice(STANDARD.encode(value).as_bytes()),
            Self::Hex => out.extend_from_slice(&hex(value)),
            Self::Json => {
                let quoted = serde_json::Value::from(String::from_utf8_lossy(value)).to_string();
                out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
            }
            Self::Url => {
                for &byte in value {
                    // RFC 3986 section 2.3: the unreserved characters stand for themselves.
                    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                        out.push(byte);
                    } else {
                        out.extend_from_slice(format!("%{byte:02X}").as_bytes());
                    }
                }
            }
        }
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| b"0123456789abcdef"[usize::from(n)]).collect()
}

/// Version 4, variant 1 (RFC 9562 section 5.4).
fn uuid(random: u128) -> String {
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let h = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}
