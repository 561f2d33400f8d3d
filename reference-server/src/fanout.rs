//! A turn's publications made ready for many clients: frames glued once and shared by all of them.
//!
//! Pure: bytes in, bytes out. Whatever was published since the last turn goes to a client in one piece; nothing is
//! ever held back to make a piece bigger.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::frame::Message;

/// Longest piece made by glueing; a single longer frame stays one piece, uncopied.
const GLUED: usize = 256 * 1024;

/// A message and who sent it.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    /// In which order the server received it, from 0.
    pub(crate) number: u64,
    /// The sender's client index.
    pub(crate) from: u64,
    /// The sender's room, where there are rooms.
    pub(crate) room: Option<Arc<str>>,
    /// What was sent.
    pub(crate) message: Message,
}

/// Several frames in one piece of memory.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The frames, one after the other.
    pub(crate) bytes: Bytes,
    /// Sender and end of each frame.
    frames: Vec<(u64, usize)>,
    /// Those who sent any of them.
    senders: HashSet<u64>,
}

impl Piece {
    /// How many frames.
    pub(crate) fn copies(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    /// The frames that `index` did not send, in as few pieces as possible, each with its number of frames.
    pub(crate) fn without(&self, index: u64) -> impl Iterator<Item = (Bytes, u32)> {
        let mut from = 0;
        let mut runs: Vec<(usize, usize, u32)> = Vec::new();
        for &(sender, end) in &self.frames {
            if sender != index {
                match runs.last_mut() {
                    Some(run) if run.1 == from => {
                        run.1 = end;
                        run.2 += 1;
                    }
                    _ => runs.push((from, end, 1)),
                }
            }
            from = end;
        }
        runs.into_iter().map(|(from, end, copies)| (self.bytes.slice(from..end), copies))
    }

    /// Whether a client sent any of these.
    pub(crate) fn has_sender(&self, index: u64) -> bool {
        self.senders.contains(&index)
    }
}

/// Glues frames into pieces, in order.
pub(crate) fn glue(frames: &[(u64, Bytes)]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut pending: Vec<(u64, &Bytes)> = Vec::new();
    let mut len = 0;
    for (sender, frame) in frames {
        let sender = *sender;
        if !pending.is_empty() && len + frame.len() > GLUED {
            pieces.push(piece(&pending, len));
            pending.clear();
            len = 0;
        }
        len += frame.len();
        pending.push((sender, frame));
    }
    if !pending.is_empty() {
        pieces.push(piece(&pending, len));
    }
    pieces
}

fn piece(frames: &[(u64, &Bytes)], len: usize) -> Piece {
    if let [(sender, frame)] = frames {
        return Piece { bytes: Bytes::clone(frame), frames: vec![(*sender, frame.len())], senders: HashSet::from([*sender]) };
    }
    let mut bytes = BytesMut::with_capacity(len);
    let mut ends = Vec::with_capacity(frames.len());
    for (sender, frame) in frames {
        bytes.extend_from_slice(frame);
        ends.push((*sender, bytes.len()));
    }
    let senders = ends.iter().map(|(sender, _)| *sender).collect();
    Piece { bytes: bytes.freeze(), frames: ends, senders }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glued(frames: &[(u64, &'static str)]) -> Vec<Piece> {
        let frames: Vec<(u64, Bytes)> = frames.iter().map(|(sender, text)| (*sender, Bytes::from_static(text.as_bytes()))).collect();
        glue(&frames)
    }

    #[test]
    fn frames_are_glued_in_order_and_a_senders_own_are_left_out() {
        let pieces = glued(&[(1, "a"), (2, "bb"), (1, "c"), (1, "d"), (3, "e"), (3, "f")]);
        assert_eq!(pieces.len(), 1);
        assert_eq!((&pieces[0].bytes[..], pieces[0].copies()), (&b"abbcdef"[..], 6));
        let without = |index| pieces[0].without(index).map(|(bytes, n)| (bytes.to_vec(), n)).collect::<Vec<_>>();
        assert_eq!(without(1), [(b"bb".to_vec(), 1), (b"ef".to_vec(), 2)]);
        assert_eq!(without(3), [(b"abbcd".to_vec(), 4)]);
        assert_eq!(without(9), [(b"abbcdef".to_vec(), 6)]);
        assert!(pieces[0].has_sender(2) && !pieces[0].has_sender(9));
    }

    #[test]
    fn a_piece_is_bounded_and_a_long_frame_is_not_copied() {
        let long = Bytes::from(vec![b'x'; GLUED + 1]);
        let short = Bytes::from_static(b"y");
        let pieces = glue(&[(1, short.clone()), (1, short.clone()), (2, long.clone()), (1, short)]);
        assert_eq!(pieces.iter().map(|piece| piece.bytes.len()).collect::<Vec<_>>(), [2, GLUED + 1, 1]);
        assert_eq!(pieces[1].bytes.as_ptr(), long.as_ptr());
    }
}
