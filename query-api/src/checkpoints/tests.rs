use super::shown::{Announced, announced};
use super::*;
use crate::config::LiveArgs;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};

#[test]
fn reads_announcements() {
    let stock = Announced { model: ReadModel::Stock, version: 1, shard: 0, position: Position::new(0) };
    assert_eq!(announced("stock:1:0:0"), Some(stock));
    let sales =
        Announced { model: ReadModel::Sales, version: 3, shard: 7, position: Position::new(u64::MAX) };
    assert_eq!(announced("sales:3:7:18446744073709551615"), Some(sales));
    for foreign in ["", "stock", "stock:1", "stock:1:7", "stock:2:0:-7", "stock:1:-1:7", "weather:1:0:7"] {
        assert_eq!(announced(foreign), None, "{foreign}");
    }
}

#[test]
fn a_version_has_come_as_far_as_its_last_shard() {
    let at = |position| Some(Position::new(position));
    let served = |shards| Served { version: 1, log_id: None, shards };
    assert_eq!(served(vec![]).position(), None);
    assert_eq!(served(vec![at(7), None, at(9)]).position(), None);
    assert_eq!(served(vec![at(7), at(3), at(9)]).position(), at(3));
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

async fn call(database: &PgConnectOptions) -> Box<dyn Wire> {
    match database.get_socket() {
        Some(folder) => {
            let socket = folder.join(format!(".s.PGSQL.{}", database.get_port()));
            Box::new(UnixStream::connect(socket).await.unwrap())
        }
        None => Box::new(TcpStream::connect((database.get_host(), database.get_port())).await.unwrap()),
    }
}

/// The way to the database, until the machine between them has lost its power: nobody hangs up, and nothing comes.
async fn way_to(database: PgConnectOptions, is_dead: watch::Receiver<bool>) -> PgConnectOptions {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
    let options = options.username(database.get_username()).database(database.get_database().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut here, _) = listener.accept().await.unwrap();
            let (mut there, mut is_dead) = (call(&database).await, is_dead.clone());
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut here, &mut there) => {}
                    () = async { drop(is_dead.wait_for(|is_dead| *is_dead).await) } => {
                        std::future::pending::<()>().await;
                    }
                }
            });
        }
    });
    options
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_answers_no_more_is_not_listened_to(pool: PgPool) {
    let deadline = Duration::from_secs(30);
    let is_dead = watch::Sender::new(false);
    let options = way_to((*pool.connect_options()).clone(), is_dead.subscribe()).await;
    let (health, stop) = (Health::default(), CancellationToken::new());
    let store = EventStore::connect("esdb://127.0.0.1:1?tls=false").unwrap();
    let waiting = Places::new(LiveArgs::DEFAULT.for_waiting());
    let checkpoints =
        Checkpoints::new("queries", PgPool::connect_lazy_with(options), store, &health, waiting);
    let mut is_listening = checkpoints.is_listening.subscribe();
    let following = tokio::spawn({
        let (checkpoints, stop) = (checkpoints.clone(), stop.clone());
        async move { checkpoints.follow(&health, &stop).await }
    });
    tokio::time::timeout(deadline, is_listening.wait_for(|is_so| *is_so)).await.unwrap().unwrap();
    is_dead.send_replace(true);
    tokio::time::timeout(deadline, is_listening.wait_for(|is_so| !*is_so)).await.unwrap().unwrap();
    stop.cancel();
    following.await.unwrap();
}
