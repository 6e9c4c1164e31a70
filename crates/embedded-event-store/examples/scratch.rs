use embedded_event_store::*;
use eventstore::*;
use std::time::Instant;
#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let t = Instant::now();
    let store = EmbeddedEventStore::start(Config::on_any_port(dir.path())).await.unwrap();
    println!("open {:?}", t.elapsed());
    let client = Client::new(store.connection_string().parse().unwrap()).unwrap();
    let ev = || EventData::binary("t.v1", vec![b'x'; 300].into());
    let any = || AppendToStreamOptions::default().stream_state(StreamState::Any);
    client.append_to_stream("s", &any(), ev()).await.unwrap();
    let mut l = vec![];
    for _ in 0..300 { let t = Instant::now(); client.append_to_stream("s", &any(), ev()).await.unwrap(); l.push(t.elapsed()); }
    l.sort(); println!("plain p50 {:?} p99 {:?}", l[150], l[297]);
    for subs in [0, 5] {
        let base = client.append_to_stream("s", &any(), ev()).await.unwrap().position.commit;
        let n_ev = 64 * 300u64;
        let tasks: Vec<_> = (0..subs).map(|_| { let c = client.clone(); tokio::spawn(async move {
            let mut s = c.subscribe_to_all(&SubscribeToAllOptions::default().position(StreamPosition::End)).await;
            let mut n = 0; while n < n_ev { if let SubscriptionEvent::EventAppeared(_) = s.next_subscription_event().await.unwrap() { n += 1; } } Instant::now() }) }).collect();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let t = Instant::now();
        let w: Vec<_> = (0..64).map(|i| { let c = client.clone(); tokio::spawn(async move {
            let b = c.batch_append(&Default::default()).await.unwrap();
            for _ in 0..300 { b.append_to_stream(format!("w{i}"), StreamState::Any, vec![EventData::binary("t.v1", vec![b'x'; 300].into())]).await.unwrap(); } }) }).collect();
        for x in w { x.await.unwrap(); }
        let e = t.elapsed();
        println!("subs {subs}: {} appends in {:?} = {:.0}/s (base {base})", n_ev, e, n_ev as f64 / e.as_secs_f64());
        for x in tasks { println!("  sub done after {:?}", x.await.unwrap() - t); }
    }
    let t = Instant::now(); let mut r = client.read_all(&ReadAllOptions::default()).await.unwrap(); let mut n = 0; while r.next().await.unwrap().is_some() { n += 1; }
    println!("read_all {n} in {:?} = {:.0}/s", t.elapsed(), n as f64 / t.elapsed().as_secs_f64());
    let t = Instant::now(); store.stop().await; println!("stop {:?}", t.elapsed());
    let t = Instant::now(); let s = EmbeddedEventStore::start(Config::on_any_port(dir.path())).await.unwrap(); println!("reopen {:?}", t.elapsed()); s.stop().await;
}
