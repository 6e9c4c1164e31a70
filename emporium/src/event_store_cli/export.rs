//! `emporium event-store export`: events to a file, one line each.

use super::EventStoreCliError;
use super::copying::{Copying, Goes};
use super::progress::Progress;
use super::source::{Source, SourceArgs};
use super::{frame, line};
use clap::Args;
use event_store::{EventStore, IMPORT_HAS_NOT_ENDED, Origin, Position};
use futures::TryStreamExt;
use http_boundary::output::{self, Stdout};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const BUFFER_BYTES: usize = 1 << 20;
const STDOUT: &str = "-";

/// `emporium event-store export …`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Where to write; packed with zstd if the name ends in .zst; `-` is standard output
    #[arg(default_value = STDOUT)]
    pub file: PathBuf,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Only events from this position of the log on
    #[arg(long, value_name = "POSITION")]
    pub from: Option<Position>,
    /// Only events up to this position of the log
    #[arg(long, value_name = "POSITION")]
    pub to: Option<Position>,
    /// Only this stream, and its metadata
    #[arg(long, value_name = "NAME")]
    pub stream: Option<String>,
    /// The server's own `$` streams too
    #[arg(long)]
    pub system_streams: bool,
}

/// Writes the file, whole or not at all.
pub async fn run(args: ExportArgs) -> Result<(), EventStoreCliError> {
    let source = Source::open(&args.source).await?;
    let exported = export(&source.store, &args).await;
    source.close().await;
    let (events, seconds) = exported?;
    tracing::info!(events, seconds = format_args!("{seconds:.1}"), file = %args.file.display(), "exported");
    Ok(())
}

async fn export(store: &EventStore, args: &ExportArgs) -> Result<(u64, f64), EventStoreCliError> {
    let failed = |source| EventStoreCliError::Write { path: args.file.clone(), source };
    // What comes while this runs is left for the next time.
    let head = store.head().await?.unwrap_or(Position::new(0));
    let first = args.from.unwrap_or(Position::new(0));
    let last = args.to.map_or(head, |to| to.min(head));
    let mut output = Output::create(&args.file).map_err(failed)?;
    let mut progress = Progress::start("exporting", last.value().saturating_sub(first.value()));
    let mut events = std::pin::pin!(store.read_log(args.from));
    let mut count = 0;
    let mut line = Vec::new();
    let mut copying = Copying::new(args.system_streams);
    // All positions of the file are places in this log, and the first line says which it is.
    let is_part = args.from.is_some() || args.to.is_some() || args.stream.is_some();
    let identity = store.read_log_identity().await?;
    if identity.as_ref().is_some_and(|identity| identity.imports().is_one_under_way()) {
        tracing::warn!("{IMPORT_HAS_NOT_ENDED}; until then, an export has only its beginning");
    }
    let begun = frame::begun(Origin::of(identity.as_ref(), is_part));
    line::write(&begun, &mut line).map_err(|error| failed(io::Error::other(error)))?;
    output.write_all(&line).map_err(failed)?;
    while let Some(record) = events.try_next().await? {
        let nobody_reads = args.file == Path::new(STDOUT) && output::reader_is_gone();
        if record.position > last || nobody_reads {
            break;
        }
        let is_wanted = args.stream.as_deref().is_none_or(|wanted| belongs_to(&record.stream, wanted));
        if copying.next(&record) != Goes::LeftOut && is_wanted {
            line.clear();
            line::write(&record, &mut line).map_err(|error| failed(io::Error::other(error)))?;
            output.write_all(&line).map_err(failed)?;
            count += 1;
        }
        progress.at(record.position.value().saturating_sub(first.value()), count);
    }
    line.clear();
    line::write(&frame::ended(count), &mut line).map_err(|error| failed(io::Error::other(error)))?;
    output.write_all(&line).map_err(failed)?;
    output.finish().map_err(failed)?;
    Ok((count, progress.finish().as_secs_f64()))
}

/// A stream goes with its metadata. It is picked from the log and not read as a stream, so that what its metadata hides
/// comes along: otherwise its revisions could not be kept.
fn belongs_to(stream: &str, wanted: &str) -> bool {
    stream.strip_prefix("$$").is_some_and(|subject| subject == wanted) || stream == wanted
}

/// A file gets its name when it is complete: an export that broke off never looks like a whole one.
struct Output {
    writer: Writer,
    names: Option<(PathBuf, PathBuf)>,
}

enum Writer {
    Plain(BufWriter<Box<dyn Sink>>),
    Packed(zstd::stream::write::Encoder<'static, BufWriter<Box<dyn Sink>>>),
}

trait Sink: Write + Send {
    fn keep(&self) -> io::Result<()>;
}

impl Sink for File {
    fn keep(&self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Sink for Stdout {
    fn keep(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn create(path: &Path) -> io::Result<Self> {
        if path == Path::new(STDOUT) {
            let writer = BufWriter::with_capacity(BUFFER_BYTES, Box::new(Stdout) as Box<dyn Sink>);
            return Ok(Self { writer: Writer::Plain(writer), names: None });
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = BufWriter::with_capacity(BUFFER_BYTES, Box::new(File::create(&part)?) as Box<dyn Sink>);
        let writer = if path.extension().is_some_and(|extension| extension == "zst") {
            Writer::Packed(zstd::stream::write::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?)
        } else {
            Writer::Plain(file)
        };
        Ok(Self { writer, names: Some((part, path.to_owned())) })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.writer {
            Writer::Plain(writer) => writer.write_all(bytes),
            Writer::Packed(writer) => writer.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        let mut writer = match self.writer {
            Writer::Plain(writer) => writer,
            Writer::Packed(encoder) => encoder.finish()?,
        };
        writer.flush()?;
        writer.get_ref().keep()?;
        match self.names {
            Some((part, path)) => std::fs::rename(part, path),
            None => Ok(()),
        }
    }
}
