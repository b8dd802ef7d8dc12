//! The PROXY protocol, version 2: what a load balancer says of the client before its first byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What stands before the first frame is no PROXY header of version 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Other bytes than its signature.
    #[error("the connection does not begin with a PROXY header of version 2")]
    Signature,
    /// The text form of version 1.
    #[error("the connection begins with a PROXY header of version 1, where version 2 is expected")]
    Version1,
    /// A version, command or address family that does not exist.
    #[error("the PROXY header has an unknown version, command or family")]
    Unknown,
    /// A length that its address family cannot have, or more than 1,024 bytes.
    #[error("the PROXY header says a wrong length")]
    Length,
}

/// How a header of version 1 begins.
const VERSION_1: &[u8; 6] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
const LONGEST: usize = 1_024;

/// Reads the header at the start of `bytes`: its length, and the client's address where it tells one (health checks of the
/// balancer itself tell none). Nothing while the header is not complete.
///
/// # Errors
/// `bytes` does not begin with such a header.
pub fn proxied(bytes: &[u8]) -> Result<Option<(usize, Option<SocketAddr>)>, ProxyError> {
    let text = bytes.len().min(VERSION_1.len());
    if text > 0 && bytes.get(..text) == VERSION_1.get(..text) {
        let whole = text == VERSION_1.len();
        return if whole { Err(ProxyError::Version1) } else { Ok(None) };
    }
    let known = bytes.len().min(SIGNATURE.len());
    if bytes.get(..known) != SIGNATURE.get(..known) {
        return Err(ProxyError::Signature);
    }
    let Some(&[version, family, high, low]) = bytes.get(12..FIXED) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(ProxyError::Length);
    }
    let Some(body) = bytes.get(FIXED..FIXED + length) else {
        return Ok(None);
    };
    let source = match (version, family) {
        (0x21, 0x11) => Some(v4(body).ok_or(ProxyError::Length)?),
        (0x21, 0x21) => Some(v6(body).ok_or(ProxyError::Length)?),
        // The balancer speaks for itself (LOCAL), or of a client that has no address on the internet.
        (0x20, _) | (0x21, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => None,
        _ => return Err(ProxyError::Unknown),
    };
    Ok(Some((FIXED + length, source)))
}

fn v4(body: &[u8]) -> Option<SocketAddr> {
    let address: [u8; 4] = body.get(..4)?.try_into().ok()?;
    let port: [u8; 2] = body.get(8..10)?.try_into().ok()?;
    body.get(..12)?;
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(address)), u16::from_be_bytes(port)))
}

fn v6(body: &[u8]) -> Option<SocketAddr> {
    let address: [u8; 16] = body.get(..16)?.try_into().ok()?;
    let port: [u8; 2] = body.get(32..34)?.try_into().ok()?;
    body.get(..36)?;
    Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address)), u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([version, family]);
        bytes.extend(u16::try_from(body.len()).expect("short").to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn headers_are_read_as_far_as_they_are_there() {
        let v4 = header(0x21, 0x11, &[10, 0, 0, 1, 10, 0, 0, 2, 0x1F, 0x90, 0x21, 0x87]);
        for at in 0..v4.len() {
            assert_eq!(proxied(&v4[..at]), Ok(None), "at {at}");
        }
        let client = "10.0.0.1:8080".parse().ok();
        assert_eq!(proxied(&v4), Ok(Some((v4.len(), client))));
        let local = header(0x20, 0, &[]);
        assert_eq!(proxied(&local), Ok(Some((16, None))));
        for (bytes, error) in [
            (b"\r\n\r\n\0\r\nQUIX".to_vec(), ProxyError::Signature),
            (b"PROXY TCP4".to_vec(), ProxyError::Version1),
            (b"PROXIMA".to_vec(), ProxyError::Signature),
            (header(0x11, 0x11, &[0; 12]), ProxyError::Unknown),
            (header(0x21, 0x11, &[0; 4]), ProxyError::Length),
            (header(0x21, 0x21, &[0; 1_025]), ProxyError::Length),
        ] {
            assert_eq!(proxied(&bytes), Err(error));
        }
    }
}
