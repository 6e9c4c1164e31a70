//! What is attacked: a service of our own on the loopback, never anything else.

use crate::error::BenchError;
use crate::programs::ServiceProcess;
use crate::shop::{self, CURRENCY, Product};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, RequestBuilder};
use serde_json::{Value, json};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};
use uuid::Uuid;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// A connection that is not made in this time is refused.
const TO_CONNECT: Duration = Duration::from_secs(5);
/// For an answer: more than the service ever waits when it is asked to.
const TIMEOUT: Duration = Duration::from_secs(45);
const PLENTY: u64 = 100_000_000;
/// Units of the SKU that somebody wants to hold.
const FEW: u64 = 60;
/// Lines of the cart with a long past, and how often all of them are changed.
const LINES: usize = 100;
const CHANGES: usize = 40;

/// The service under attack, and what is in its shop.
pub struct Target {
    pub service: SocketAddr,
    /// What ordinary shoppers buy.
    pub common: Product,
    /// What somebody wants to hold.
    pub scarce: Product,
    /// A cart with a long past.
    pub cart_id: String,
}

/// The address of an ordinary shopper. Each has an address of its own, as at home.
pub fn shopper(number: usize) -> Ipv4Addr {
    loopback(2, number)
}

/// The address of an attacker.
pub fn attacker(number: usize) -> Ipv4Addr {
    loopback(66, number)
}

fn loopback(net: u8, number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, net, u8::try_from(number % 250).unwrap_or_default() + 1)
}

/// An HTTP client at this address.
pub fn client(from: Ipv4Addr) -> Result<Client, BenchError> {
    at(from).build().map_err(BenchError::Http)
}

/// The same, with a new connection for each request.
pub fn client_without_keep_alive(from: Ipv4Addr) -> Result<Client, BenchError> {
    at(from).pool_max_idle_per_host(0).build().map_err(BenchError::Http)
}

fn at(address: Ipv4Addr) -> ClientBuilder {
    Client::builder().local_address(IpAddr::from(address)).no_proxy().tcp_nodelay(true).timeout(TIMEOUT)
}

impl Target {
    /// Fills the shop.
    pub async fn prepare(service: &ServiceProcess) -> Result<Self, BenchError> {
        let product = |sku: &str, units| Product { sku: sku.to_owned(), price: 1_250, units };
        let (common, scarce) = (product("COMMON-1", PLENTY), product("SCARCE-1", FEW));
        shop::fill(service, &[common.clone(), scarce.clone()]).await?;
        let mut target = Self { service: service.address, common, scarce, cart_id: String::new() };
        target.cart_id = target.long_cart(&service.operator_token()?).await?;
        target.can_be_read().await?;
        Ok(target)
    }

    /// Waits until shoppers find what there is.
    async fn can_be_read(&self) -> Result<(), BenchError> {
        let http = client(attacker(0))?;
        let path = format!("/products/{}?min-position=head", self.common.sku);
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let asked = Self::waiting(http.get(self.url(&path))).send().await.map_err(BenchError::Http)?;
            let status = asked.status().as_u16();
            if (200..300).contains(&status) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let body = asked.text().await.unwrap_or_default();
                return Err(BenchError::Unexpected { path, status, body });
            }
        }
    }

    /// A cart whose lines were changed very often, as far as the service allows that.
    async fn long_cart(&self, operator_token: &str) -> Result<String, BenchError> {
        let http = client(attacker(0))?;
        let path = "/carts".to_owned();
        let post = async |path: &str, body: Value| {
            let asked = self.post(&http, path, &body).bearer_auth(operator_token).send().await;
            let answer = asked.map_err(BenchError::Http)?;
            let status = answer.status().as_u16();
            let body = answer.bytes().await.map_err(BenchError::Http)?;
            Ok::<_, BenchError>((status, serde_json::from_slice::<Value>(&body).unwrap_or_default()))
        };
        let (status, opened) = post(&path, json!({ "currency": CURRENCY })).await?;
        let Some(cart_id) = opened["cart_id"].as_str() else {
            return Err(BenchError::Unexpected { path, status, body: opened.to_string() });
        };
        let line_ids: Vec<Uuid> = (0..LINES).map(|_| Uuid::new_v4()).collect();
        for change in 0..CHANGES {
            let line = |line_id: &Uuid| json!({ "line_id": line_id, "sku": self.common.sku, "quantity": change % 7 + 1 });
            let lines: Vec<Value> = line_ids.iter().map(line).collect();
            let (status, _) = post(&format!("/carts/{cart_id}/lines"), json!({ "lines": lines })).await?;
            if !(200..300).contains(&status) {
                break;
            }
        }
        Ok(cart_id.to_owned())
    }

    /// A connection from this address.
    pub async fn connect(&self, from: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from.into(), 0))?;
        let connecting = tokio::time::timeout(TO_CONNECT, socket.connect(self.service));
        let stream = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub fn url(&self, path: &str) -> String {
        shop_client::address_of(&format!("http://{}", self.service), path)
    }

    /// A command under a new key.
    pub fn post(&self, http: &Client, path: &str, body: &Value) -> RequestBuilder {
        self.post_under(http, path, body, Uuid::new_v4())
    }

    /// A command under this key.
    pub fn post_under(&self, http: &Client, path: &str, body: &Value, key: Uuid) -> RequestBuilder {
        let request = http.post(self.url(path)).header(CONTENT_TYPE, JSON);
        request.header(IDEMPOTENCY_KEY, key.to_string()).body(body.to_string())
    }

    /// A request that waits for its outcome.
    pub fn waiting(request: RequestBuilder) -> RequestBuilder {
        request.header(PREFER, HeaderValue::from_static("wait=20"))
    }

    pub fn total(&self, product: &Product, units: i64) -> Value {
        json!({ "amount": product.price * units, "currency": CURRENCY })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shoppers_and_attackers_have_other_addresses_and_all_are_on_the_loopback() {
        for number in 0..1_000 {
            let (one, other) = (shopper(number), attacker(number));
            assert!(one.is_loopback() && other.is_loopback() && one != other);
            assert!(one.octets()[3] > 0 && other.octets()[3] > 0);
        }
    }
}
