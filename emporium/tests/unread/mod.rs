//! A command whose output nobody reads to its end.

use std::process::{Command, Stdio};

/// As in `emporium … | head`: the reader has what it wanted and goes. The command ends as if nothing had happened.
pub fn ends_quietly(command: &mut Command) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && said.is_empty(), "{command:?}: {}: {said}", ended.status);
}
