use std::net::{IpAddr, Ipv6Addr};

/// One customer of a provider has all addresses below these first bits (RIPE-690 recommends 56 for a home, and gives as
/// many networks of 64 bits as a byte has values).
const BITS_OF_A_CUSTOMER: u32 = 56;

/// The client that an address counts as, wherever something is limited by address: an IPv4 address as itself, even if it is
/// written as IPv6, and an IPv6 address as the /56 network of one customer of a provider.
#[must_use]
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> BITS_OF_A_CUSTOMER)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_home_has_is_one_and_ipv4_addresses_are_each_their_own() {
        let counted = |address: &str| counted_as(address.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2::1"), "2001:db8:1::");
        assert_eq!(counted("2001:db8:1:ff:ffff::"), "2001:db8:1::");
        assert_eq!(counted("2001:db8:1:100::1"), "2001:db8:1:100::");
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("192.0.2.2"), "192.0.2.2");
        assert_eq!(counted("::1"), "::1");
    }
}
