use super::AuditError;
use super::selection::Selection;
use super::thing::say;
use clap::{Args, ValueEnum};
use shop_client::ShopClient;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `emporium audit export …`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file, which is there in the end or not at all
    file: PathBuf,
    /// Its form; without it, as the name ends
    #[arg(long)]
    format: Option<Form>,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Ndjson,
    Csv,
    Parquet,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    fn of(file: &Path) -> Option<Self> {
        let ending = file.extension()?.to_str()?;
        [Self::Ndjson, Self::Csv, Self::Parquet].into_iter().find(|form| form.name() == ending)
    }
}

pub async fn run(shop: &ShopClient, args: &ExportArgs) -> Result<(), AuditError> {
    let form = args.format.or_else(|| Form::of(&args.file));
    let form = form.ok_or_else(|| AuditError::Form(args.file.clone()))?;
    let mut query = args.selection.query();
    query.push(("format", form.name().to_owned()));
    let failed = |source| AuditError::File { path: args.file.clone(), source };
    let mut unfinished = args.file.clone().into_os_string();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let mut answer = shop.ask_long(&["audit", "export"], &query).await?;
    let written = async {
        let mut file = std::io::BufWriter::new(std::fs::File::create(&unfinished).map_err(failed)?);
        let mut bytes = 0;
        while let Some(piece) = answer.next().await? {
            file.write_all(&piece).map_err(failed)?;
            bytes += piece.len();
        }
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        std::fs::rename(&unfinished, &args.file).map_err(failed)?;
        Ok::<usize, AuditError>(bytes)
    };
    match written.await {
        Ok(bytes) => Ok(say(&format!("{}: {bytes} bytes", args.file.display()))?),
        Err(error) => {
            // Half a file would look like a whole one. That it may not go away changes nothing about the failure.
            let _ = std::fs::remove_file(&unfinished);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_form() {
        assert_eq!(Form::of(Path::new("/tmp/a.b/trail.parquet")), Some(Form::Parquet));
        assert_eq!(Form::of(Path::new("trail.csv")), Some(Form::Csv));
        for unclear in ["trail", "trail.txt", ".csv"] {
            assert_eq!(Form::of(Path::new(unclear)), None);
        }
    }
}
