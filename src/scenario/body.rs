//! What is sent: a text with variables, or bytes put together from parts with lengths in front (MQTT, and whatever else
//! counts its bytes). Bound to a connection it becomes an [`Encoder`], which only copies.

use serde::Serialize;

use super::template::{Bound, MissingValue, Template, Vars};

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Body {
    /// A text message.
    Text(Template),
    /// A binary message.
    Binary(Vec<Piece>),
}

/// A part of a binary message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Piece {
    /// A template, as its UTF-8 bytes.
    Text(Template),
    /// These bytes.
    Bytes(Vec<u8>),
    /// Parts with the number of their bytes in front.
    Counted(Count, Vec<Piece>),
}

/// How a number of bytes is written in front of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Count {
    /// One byte.
    U8,
    /// Two bytes, the high one first.
    U16,
    /// Four bytes, the highest first.
    U32,
    /// Seven bits a byte, the low ones first, as in MQTT (3.1.1 section 2.2.3) and protocol buffers.
    Varint,
}

impl Count {
    /// All kinds by their keys.
    pub(super) const ALL: [(&'static str, Self); 4] = [("u8", Self::U8), ("u16", Self::U16), ("u32", Self::U32), ("varint", Self::Varint)];

    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked against the kind's limit when the scenario is read; a payload is at most 64 MiB"
    )]
    fn write(self, count: usize) -> Vec<u8> {
        match self {
            Self::U8 => vec![count as u8],
            Self::U16 => (count as u16).to_be_bytes().to_vec(),
            Self::U32 => (count as u32).to_be_bytes().to_vec(),
            Self::Varint => {
                let (mut left, mut out) = (count, Vec::with_capacity(4));
                while left >= 128 {
                    out.push((left & 127) as u8 | 128);
                    left >>= 7;
                }
                out.push(left as u8);
                out
            }
        }
    }
}

impl Body {
    /// Whether it is sent as a text message.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// The bytes to send.
    ///
    /// # Errors
    /// A variable without a value.
    pub fn render(&self, vars: &Vars<'_>) -> Result<Vec<u8>, MissingValue> {
        let mut out = Vec::new();
        match self {
            Self::Text(template) => template.render_into(vars, &mut out)?,
            Self::Binary(pieces) => render(pieces, vars, &mut out)?,
        }
        Ok(out)
    }

    /// Everything that is the same for all publications of a connection is worked out now.
    ///
    /// # Errors
    /// A variable without a value.
    pub fn bind(&self, vars: &Vars<'_>) -> Result<Encoder, MissingValue> {
        let mut ops = Vec::new();
        match self {
            Self::Text(template) => bind_template(template, vars, &mut ops)?,
            Self::Binary(pieces) => bind(pieces, vars, &mut ops)?,
        }
        Ok(Encoder { ops })
    }

    /// All templates in it.
    pub(super) fn templates(&self) -> Vec<&Template> {
        fn of<'a>(pieces: &'a [Piece], list: &mut Vec<&'a Template>) {
            for piece in pieces {
                match piece {
                    Piece::Text(template) => list.push(template),
                    Piece::Bytes(_) => {}
                    Piece::Counted(_, inner) => of(inner, list),
                }
            }
        }
        match self {
            Self::Text(template) => vec![template],
            Self::Binary(pieces) => {
                let mut list = Vec::new();
                of(pieces, &mut list);
                list
            }
        }
    }
}

fn render(pieces: &[Piece], vars: &Vars<'_>, out: &mut Vec<u8>) -> Result<(), MissingValue> {
    for piece in pieces {
        match piece {
            Piece::Text(template) => template.render_into(vars, out)?,
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::Counted(count, inner) => {
                let start = out.len();
                render(inner, vars, out)?;
                out.splice(start..start, count.write(out.len() - start));
            }
        }
    }
    Ok(())
}

fn bind(pieces: &[Piece], vars: &Vars<'_>, ops: &mut Vec<Op>) -> Result<(), MissingValue> {
    for piece in pieces {
        match piece {
            Piece::Text(template) => bind_template(template, vars, ops)?,
            Piece::Bytes(bytes) => push(ops, bytes.clone()),
            Piece::Counted(count, inner) => {
                let mut within = Vec::new();
                bind(inner, vars, &mut within)?;
                match &within[..] {
                    // Nothing in it changes: the count does not either.
                    [] => push(ops, count.write(0)),
                    [Op::Bytes(bytes)] => {
                        push(ops, count.write(bytes.len()));
                        push(ops, bytes.clone());
                    }
                    _ => ops.push(Op::Counted(*count, within)),
                }
            }
        }
    }
    Ok(())
}

fn bind_template(template: &Template, vars: &Vars<'_>, ops: &mut Vec<Op>) -> Result<(), MissingValue> {
    for bound in template.bind(vars)? {
        match bound {
            Bound::Bytes(bytes) => push(ops, bytes),
            Bound::Stamp => ops.push(Op::Stamp),
            Bound::StampLen => ops.push(Op::StampLen),
            Bound::Seq => ops.push(Op::Seq),
            Bound::Late(template) => ops.push(Op::Late(template)),
        }
    }
    Ok(())
}

fn push(ops: &mut Vec<Op>, mut bytes: Vec<u8>) {
    match ops.last_mut() {
        Some(Op::Bytes(before)) => before.append(&mut bytes),
        _ => ops.push(Op::Bytes(bytes)),
    }
}

#[derive(Debug, Clone)]
enum Op {
    Bytes(Vec<u8>),
    Stamp,
    StampLen,
    Seq,
    Late(Template),
    Counted(Count, Vec<Op>),
}

/// How one connection's publications become frames: mostly `before ++ payload ++ after`.
#[derive(Debug, Clone)]
pub struct Encoder {
    ops: Vec<Op>,
}

impl Encoder {
    /// What stands before and after the payload, when nothing else changes from one publication to the next: then the hot
    /// path is three copies, and none of the below is called.
    #[must_use]
    pub fn around(&self) -> Option<(&[u8], &[u8])> {
        match &self.ops[..] {
            [Op::Stamp] => Some((b"", b"")),
            [Op::Bytes(before), Op::Stamp] => Some((before, b"")),
            [Op::Stamp, Op::Bytes(after)] => Some((b"", after)),
            [Op::Bytes(before), Op::Stamp, Op::Bytes(after)] => Some((before, after)),
            _ => None,
        }
    }

    /// Appends the frame's content for a publication. `vars` are those it was bound with, with `payload`, `seq`, `now_ms` and
    /// `random` of this publication.
    pub fn encode(&self, vars: &Vars<'_>, out: &mut Vec<u8>) {
        encode(&self.ops, vars, out);
    }
}

fn encode(ops: &[Op], vars: &Vars<'_>, out: &mut Vec<u8>) {
    for op in ops {
        match op {
            Op::Bytes(bytes) => out.extend_from_slice(bytes),
            Op::Stamp => out.extend_from_slice(vars.payload),
            Op::StampLen => out.extend_from_slice(vars.payload.len().to_string().as_bytes()),
            Op::Seq => out.extend_from_slice(vars.seq.to_string().as_bytes()),
            // Values that can be missing were looked up when this was bound; a captured value is never taken away again.
            Op::Late(template) => drop(template.render_into(vars, out)),
            Op::Counted(count, inner) => {
                let start = out.len();
                encode(inner, vars, out);
                out.splice(start..start, count.write(out.len() - start));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::Names;
    use super::*;

    fn text(source: &str) -> Template {
        Template::parse(source, &Names::default()).expect(source)
    }

    #[test]
    fn a_plain_envelope_is_three_copies() {
        let vars = Vars { room: "9", payload: b"P", ..Vars::default() };
        let encoder = Body::Text(text("{\"room\":\"{room}\",\"m\":\"{stamp}\"}")).bind(&vars).expect("bound");
        assert_eq!(encoder.around(), Some((&b"{\"room\":\"9\",\"m\":\""[..], &b"\"}"[..])));
        let changing = Body::Text(text("{seq}:{stamp}")).bind(&vars).expect("bound");
        assert_eq!(changing.around(), None);
        let mut out = Vec::new();
        changing.encode(&Vars { seq: 12, ..vars }, &mut out);
        assert_eq!(out, b"12:P");
    }

    #[test]
    fn counted_parts_are_those_of_mqtt() {
        let publish = Body::Binary(vec![
            Piece::Bytes(vec![0x30]),
            Piece::Counted(
                Count::Varint,
                vec![Piece::Counted(Count::U16, vec![Piece::Text(text("room/{room}"))]), Piece::Text(text("{stamp}"))],
            ),
        ]);
        // As recorded from a real broker's client.
        let vars = Vars { payload: b"tok1aaaa", ..Vars::default() };
        assert_eq!(publish.render(&vars).expect("rendered"), b"0\x10\x00\x06room/1tok1aaaa");
        let long = vec![b'p'; 70_009];
        let vars = Vars { payload: &long, ..vars };
        let mut out = Vec::new();
        publish.bind(&vars).expect("bound").encode(&vars, &mut out);
        assert_eq!(&out[..14], b"0\x81\xa3\x04\x00\x06room/1pp");
        assert_eq!(out, publish.render(&vars).expect("rendered"));
    }
}
