//! A database session on this machine works at the priority of whom it works for.
//!
//! Where the projections give way to everything else (they run beside the command side), their sessions' processes must
//! do so too: most of a projection's work is done in them.

use rustix::process::{Pid, getpriority_process, setpriority_process};
use sqlx::PgConnection;
use std::fs;

/// The name of the programs that sessions of Postgres are.
const SESSION: &str = "postgres\n";

/// Gives the session's process the priority of this thread, if that is a low one and the process is one of ours.
/// Whatever cannot be done is left: the work is the same, only others wait longer for the machine.
///
/// # Errors
/// When the database does not answer.
pub async fn share(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let Some(niceness) = getpriority_process(None).ok().filter(|niceness| *niceness > 0) else {
        return Ok(());
    };
    let session: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await?;
    let lowered = lower(session, niceness);
    tracing::debug!(session, niceness, lowered, "the session's priority");
    Ok(())
}

fn lower(session: i32, niceness: i32) -> bool {
    // Behind a container's wall the number means another process here, or none.
    let is_session = fs::read_to_string(format!("/proc/{session}/comm")).is_ok_and(|name| name == SESSION);
    let Some(process) = Pid::from_raw(session).filter(|_| is_session) else { return false };
    // Each session of Postgres is one of the system's too, and where the scheduler groups by those (autogroup), a
    // process's own niceness counts only inside its group.
    let _ = fs::write(format!("/proc/{session}/autogroup"), niceness.to_string());
    setpriority_process(Some(process), niceness).is_ok()
}
