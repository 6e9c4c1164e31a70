//! Work that gives way to everything else in this process: nobody's purchase waits for a read model.

use rustix::process::setpriority_process;
use std::io;
use tokio::runtime::{Builder, Runtime};

/// How much the threads give way, as `nice` counts: a tenth of a thread's share where both want the same core.
const NICENESS: i32 = 10;

/// A runtime of its own, whose threads the scheduler puts last. Where the machine has time, they lose nothing.
pub struct Background {
    runtime: Option<Runtime>,
}

impl Background {
    /// Its threads start at once.
    pub fn start() -> io::Result<Self> {
        let give_way = || {
            // Elsewhere this would be about the whole process.
            if cfg!(target_os = "linux")
                && let Err(error) = setpriority_process(None, NICENESS)
            {
                tracing::debug!(%error, "a thread cannot give way to others");
            }
        };
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.enable_all().thread_name("background").on_thread_start(give_way).build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs until the work is done. A panic in it is one here.
    pub async fn run(self, work: impl Future<Output = ()> + Send + 'static) {
        let Some(runtime) = &self.runtime else { return };
        if let Err(lost) = runtime.spawn(work).await
            && lost.is_panic()
        {
            std::panic::resume_unwind(lost.into_panic());
        }
    }
}

/// A runtime may not wait for its threads where it is dropped from another one.
impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_threads_give_way_and_ours_do_not() {
        let (said, hears) = tokio::sync::oneshot::channel();
        let work = async move { said.send(getpriority_process(None).unwrap()).unwrap() };
        let before = getpriority_process(None).unwrap();
        Background::start().unwrap().run(work).await;
        assert_eq!(hears.await.unwrap(), NICENESS.max(before));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }

    #[tokio::test]
    async fn a_panic_in_it_is_seen() {
        let background = Background::start().unwrap();
        let died = tokio::spawn(background.run(async { panic!("on purpose") })).await;
        assert!(died.is_err_and(|error| error.is_panic()));
    }
}
