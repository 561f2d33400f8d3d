//! A case's messages in a dialect's envelope: the frames stay the case's, what stands around a payload goes into the first
//! and the last of its message. Pure; must never know a socket.

use super::catalogue::model::Step;
use super::catalogue::payload::Payload;
use super::wire::frame::{LengthForm, Masking};

/// The steps with every whole, well-formed message in its envelope; what breaks a rule stays as it is. `around` gives what
/// stands before and after a payload (binary or text).
///
/// # Errors
/// Why a message cannot travel so.
pub fn wrap(steps: &[Step], mut around: impl FnMut(bool, &[u8]) -> Result<(Vec<u8>, Vec<u8>), String>) -> Result<Vec<Step>, String> {
    let mut out = steps.to_vec();
    let mut open: Option<(bool, Vec<usize>, Vec<u8>)> = None;
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Message { binary, payload, by } => {
                let octets = payload.octets();
                let (before, after) = around(*binary, &octets)?;
                out[at] = Step::Message { binary: *binary, payload: Payload::Octets([before, octets, after].concat()), by: *by };
            }
            Step::RoundTrips { .. } | Step::Corpus { .. } => return Err("a thousand round trips are asked of a plain echo only".to_owned()),
            Step::Head { .. } => return Err("a frame that leaves in parts is asked of a plain echo only".to_owned()),
            Step::Frame {
                first, payload, masking: Masking::ByRole | Masking::Key(_), form: LengthForm::Minimal, declared: None, ..
            } => {
                let (fin, opcode) = (first & 0x80 != 0, first & 0x7f);
                match (opcode, &mut open) {
                    (1 | 2, None) => open = Some((opcode == 2, vec![at], payload.octets())),
                    (0, Some((_, frames, octets))) => {
                        frames.push(at);
                        octets.extend(payload.octets());
                    }
                    // A control frame may stand between fragments; anything else here breaks a rule.
                    (8..=10, _) => continue,
                    _ => return Ok(out),
                }
                if fin && let Some((binary, frames, octets)) = open.take() {
                    let (before, after) = around(binary, &octets)?;
                    add(&mut out, frames.first(), |p| [before.as_slice(), p].concat());
                    add(&mut out, frames.last(), |p| [p, after.as_slice()].concat());
                }
            }
            // Whatever follows a frame that breaks a rule is not to be answered.
            Step::Frame { .. } => return Ok(out),
            Step::Octets(_) | Step::Close(_) | Step::Wait { .. } | Step::Raw(_) | Step::Shut => {}
        }
    }
    Ok(out)
}

fn add(steps: &mut [Step], at: Option<&usize>, with: impl Fn(&[u8]) -> Vec<u8>) {
    if let Some(Step::Frame { payload, .. }) = at.and_then(|at| steps.get_mut(*at)) {
        *payload = Payload::Octets(with(&payload.octets()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::catalogue::steps::steps;

    fn wrapped(script: &str) -> Result<Vec<Step>, String> {
        wrap(&steps(script)?, |binary, _| if binary { Err("binary".to_owned()) } else { Ok((b"<".to_vec(), b">".to_vec())) })
    }

    #[test]
    fn the_envelope_goes_around_a_message_however_it_is_cut() {
        for (script, expected) in [
            ("81 'one'", "81 '<one>'"),
            ("01 'a' , 00 'b' , 80 'c' , 81 'd'", "01 '<a' , 00 'b' , 80 'c>' , 81 '<d>'"),
            ("01 'a' , 89 'p' , 80 'c'", "01 '<a' , 89 'p' , 80 'c>'"),
            // Never finished; broken by a second beginning; behind a reserved bit.
            ("01 'a' , 00 'b'", "01 'a' , 00 'b'"),
            ("01 'a' , 81 'b'", "01 'a' , 81 'b'"),
            ("81 'a' , c1 'b' , 81 'c'", "81 '<a>' , c1 'b' , 81 'c'"),
            ("89 'p' , close 1000", "89 'p' , close 1000"),
        ] {
            assert_eq!(wrapped(script), steps(expected), "{script}");
        }
        assert_eq!(wrapped("82 'octets'"), Err("binary".to_owned()));
    }
}
