//! A terminal that is drawn again and again, and given back as it was.

use std::io::{IsTerminal, Write, stdout};

/// In characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What is assumed of a terminal that does not tell.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// Standard output, where it is a terminal. Once entered it is left when this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    is_entered: bool,
}

impl Screen {
    /// If standard output is a terminal.
    pub(super) fn of_terminal() -> Option<Self> {
        stdout().is_terminal().then_some(Self { is_entered: false })
    }

    /// Turns to a screen of its own: what the terminal showed comes back afterwards.
    pub(super) fn enter(&mut self) -> std::io::Result<()> {
        self.is_entered = true;
        write("\x1b[?1049h\x1b[?25l")
    }

    pub(super) fn size(&self) -> Size {
        match rustix::termios::tcgetwinsize(stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
            }
            Ok(_) | Err(_) => USUAL,
        }
    }

    /// Draws lines over those before, without flicker.
    pub(super) fn draw(&self, lines: &[String]) -> std::io::Result<()> {
        let mut text = String::from("\x1b[H");
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                text.push_str("\r\n");
            }
            text.push_str(line);
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        write(&text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_entered {
            // A terminal that is gone needs nothing back.
            let _ = write("\x1b[?25h\x1b[?1049l");
        }
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
