//! A server that outlived its owner.
//!
//! `postmaster.pid` names a process, but that process may be dead, a zombie, or a stranger that got the same number
//! after a reboot. Postgres itself only asks whether the number is taken, and refuses to start if it is. So we look at
//! the process. If it is a Postgres on this cluster, it is stopped in order. If it is something else, the number in the
//! file is replaced by one that no process can have. The rest of the file stays: it holds the key of the old shared
//! memory, with which Postgres makes sure that no session of the old server still lives.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;
use crate::folder::NO_LINKS;

const NO_PROCESS: i32 = i32::MAX;
const IN_ORDER: Duration = Duration::from_secs(30);
const AT_ONCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Call only while holding the data folder's lock.
pub(crate) fn stop(cluster: &Path) -> Result<(), Error> {
    let pid_file = cluster.join("postmaster.pid");
    let content = match fs::read_to_string(&pid_file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(Error::io("read", &pid_file))?,
    };
    let first = content.lines().next().unwrap_or_default();
    // The number is negative while a server runs for maintenance.
    let Some(pid) = first.trim().parse::<i32>().ok().and_then(i32::checked_abs).and_then(Pid::from_raw)
    else {
        // A power cut can leave an empty file, at which Postgres gives up.
        tracing::info!(file = %pid_file.display(), "removing an unreadable postmaster.pid");
        return fs::remove_file(&pid_file).map_err(Error::io("remove", &pid_file));
    };
    if is_postmaster(pid, cluster) {
        tracing::info!(
            pid = pid.as_raw_nonzero(),
            "stopping a Postgres server that an earlier run left behind"
        );
        return end(pid, cluster);
    }
    if pid.as_raw_nonzero().get() != NO_PROCESS {
        let rest = content.split_once('\n').map_or("", |(_, rest)| rest);
        let opened = OpenOptions::new().write(true).truncate(true).custom_flags(NO_LINKS).open(&pid_file);
        opened
            .and_then(|mut file| write!(file, "{NO_PROCESS}\n{rest}"))
            .map_err(Error::io("write", &pid_file))?;
    }
    Ok(())
}

fn end(pid: Pid, cluster: &Path) -> Result<(), Error> {
    for (signal, limit) in [(Signal::INT, IN_ORDER), (Signal::QUIT, AT_ONCE)] {
        match kill_process(pid, signal) {
            Ok(()) => {}
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(Error::io("stop the server left on", cluster)(error.into())),
        }
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if !is_postmaster(pid, cluster) {
                return Ok(());
            }
            thread::sleep(LOOK_EVERY);
        }
    }
    Err(Error::SurvivorStays { cluster: cluster.to_path_buf(), pid: pid.as_raw_nonzero().get() })
}

/// We always start the server as `…/postgres -D CLUSTER …`, and the postmaster keeps its command line.
fn is_postmaster(pid: Pid, cluster: &Path) -> bool {
    command_line(pid).is_some_and(|arguments| {
        let program = arguments.first().map(Path::new).and_then(Path::file_name);
        program.is_some_and(|name| name == "postgres")
            && arguments.windows(2).any(|pair| pair[0] == "-D" && Path::new(&pair[1]) == cluster)
    })
}

/// The arguments of a living process; nothing for a zombie.
#[cfg(target_os = "linux")]
fn command_line(pid: Pid) -> Option<Vec<OsString>> {
    use std::os::unix::ffi::OsStringExt;

    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let bytes = fs::read(format!("{folder}/cmdline")).ok()?;
    let arguments =
        bytes.split(|byte| *byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect();
    // A zombie's command line is empty already.
    Some(arguments).filter(|_| !bytes.is_empty())
}

#[cfg(not(target_os = "linux"))]
fn command_line(pid: Pid) -> Option<Vec<OsString>> {
    let answer = std::process::Command::new("ps")
        .args(["-ww", "-o", "stat=,command=", "-p", &pid.as_raw_nonzero().to_string()])
        .output()
        .ok()?;
    let line = String::from_utf8(answer.stdout).ok()?;
    let (state, command) = line.trim().split_once(' ')?;
    if state.starts_with('Z') {
        return None;
    }
    // `ps` does not tell where an argument ends, but the setting after the folder always begins with ` -c `.
    let (program, rest) = command.trim().split_once(" -D ")?;
    let folder = rest.split_once(" -c ")?.0;
    Some(vec![program.into(), "-D".into(), folder.into()])
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn a_stranger_with_the_number_is_left_alone_and_the_number_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("postmaster.pid");
        fs::write(&pid_file, format!("{}\n/data\n123\n", std::process::id())).unwrap();
        stop(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{NO_PROCESS}\n/data\n123\n"));
    }

    #[test]
    fn a_server_is_known_by_its_command_line_until_it_is_a_zombie() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("postgres");
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let mut child = Command::new(&program)
            .args(["-c", "echo; read line", "-D"])
            .arg(folder.path())
            .args(["-c", "port=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        // Once it has said something, it has its own command line.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        assert!(is_postmaster(pid, folder.path()));
        assert!(!is_postmaster(pid, Path::new("/elsewhere")));

        drop(child.stdin.take());
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), ended).unwrap();
        // It is there still, with its number, and nobody waits for it to end.
        let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
        assert!(!cfg!(target_os = "linux") || fs::read_to_string(stat).unwrap().contains(") Z "));
        assert!(!is_postmaster(pid, folder.path()));
        let pid_file = folder.path().join("postmaster.pid");
        fs::write(&pid_file, format!("{}\n/data\n", pid.as_raw_nonzero())).unwrap();
        stop(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{NO_PROCESS}\n/data\n"));
        child.wait().unwrap();
    }

    #[test]
    fn an_empty_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("postmaster.pid");
        fs::write(&pid_file, "").unwrap();
        stop(folder.path()).unwrap();
        assert!(!pid_file.exists());
    }
}
