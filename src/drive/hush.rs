//! A link that a disruption keeps from reading or answering as it would.

use crate::base::Instant;
use crate::event::ClosedBy;
use crate::scenario::model::Malformation;
use crate::wire::frame::{self, Opcode};
use crate::wire::reader::Message;

use super::link::Link;
use super::session::State;
use super::shard::Shard;

/// What a client that does not answer takes off its socket: as if the kernel's buffer were so much larger. It is looked through for a
/// Close frame only. When it is full, nothing more is read, and the server's writes find no room.
const HEARING: usize = 1 << 20;
/// The kernel's receive buffer of a client that reads slowly: with the usual one it would be megabytes before the server notices.
const SMALL: usize = 4096;
/// The receive buffer of a client that reads as it likes again.
const USUAL: usize = 256 << 10;

impl Link {
    /// From here on nothing is answered; what comes is looked through for a Close frame only.
    pub(super) fn fall_silent(&mut self) {
        if self.session.state == State::Ready {
            self.session.state = State::Deaf;
            self.allowance = Some(HEARING);
        }
    }

    /// Whether a silent client took all it could.
    pub(super) fn is_full(&self) -> bool {
        self.allowance == Some(0) && self.session.state == State::Deaf
    }

    /// From here on it reads no more than it is [allowed](Link::allow).
    pub(super) fn slow_down(&mut self) {
        self.allowance = Some(0);
        self.receive_buffer(SMALL);
    }

    /// It may read so much more; what it did not use of an earlier allowance is lost.
    pub(super) fn allow(&mut self, bytes: usize) {
        if let Some(allowance) = &mut self.allowance {
            *allowance = bytes;
        }
        self.io.waker.wake_by_ref();
    }

    /// It reads as fast as it can again.
    pub(super) fn hurry_up(&mut self) {
        self.allowance = None;
        self.receive_buffer(USUAL);
        self.io.waker.wake_by_ref();
    }

    fn receive_buffer(&self, bytes: usize) {
        // Where it cannot be set, the client is slow all the same, only later.
        let _ = socket2::SockRef::from(&self.io.stream.socket()).set_recv_buffer_size(bytes);
    }

    /// Sends what RFC 6455 forbids.
    pub(super) fn misbehave(&mut self, what: Malformation) {
        let mask = self.session.next_mask();
        let out = &mut self.io.out;
        match what {
            // A whole header with its mask, and not one byte of what it announces.
            Malformation::Oversize => {
                out.extend_from_slice(&[0x81, 0x80 | 127]);
                out.extend_from_slice(&(1_u64 << 62).to_be_bytes());
                out.extend_from_slice(&mask.to_ne_bytes());
            }
            Malformation::ReservedOpcode => {
                out.extend_from_slice(&[0x83, 0x80]);
                out.extend_from_slice(&mask.to_ne_bytes());
            }
            Malformation::InvalidUtf8 => frame::write_client(out, Opcode::Text, &[0xc3, 0x28], mask),
            Malformation::Unmasked => out.extend_from_slice(b"\x81\x05hello"),
        }
        self.flush();
    }

    /// What comes for a client that does not answer: a Close frame ends its connection, everything else is nothing.
    pub(super) fn on_bytes_unheard(&mut self, shard: &Shard, at: Instant, bytes: &[u8]) -> bool {
        let mut closed = None;
        let heard = self.reader.feed(bytes, |message| {
            if let Message::Close(code, reason) = message {
                closed = Some((code, String::from_utf8_lossy(reason).into_owned()));
            }
            Ok(())
        });
        if let Some((code, reason)) = closed {
            self.session.close_received = Some(code);
            self.session.closed_by = ClosedBy::Server;
            self.session.end(shard, at, None, &reason);
        }
        heard.is_ok() && self.session.state == State::Deaf
    }
}
