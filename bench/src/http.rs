//! A small HTTP client: a connection that stays open, one request at a time.

use crate::Result;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub struct Client {
    stream: TcpStream,
    /// Headers of every request.
    headers: String,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn open(address: SocketAddr, key: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let key = key.map_or(String::new(), |key| format!("authorization: Bearer {key}\r\n"));
        let headers = format!("host: {address}\r\naccept: application/json\r\n{key}");
        Ok(Self { stream, headers, buffer: Vec::new() })
    }

    pub async fn get(&mut self, path: &str) -> Result<&str> {
        let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", self.headers);
        self.send(&request).await
    }

    /// Posts JSON and returns the body of the response, whose status must be 200.
    pub async fn post(&mut self, path: &str, body: &str) -> Result<&str> {
        let request = format!(
            "POST {path} HTTP/1.1\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        );
        self.send(&request).await
    }

    async fn send(&mut self, request: &str) -> Result<&str> {
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let mut head = None;
        let (begin, end) = loop {
            if let Some((begin, end)) = head
                && self.buffer.len() >= end
            {
                break (begin, end);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if head.is_none()
                && let Some(length) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")
            {
                let begin = length + 4;
                head = Some((begin, begin + content_length(self.buffer.get(..length).unwrap_or_default())?));
            }
        };
        let is_success = self.buffer.starts_with(b"HTTP/1.1 200");
        let body = std::str::from_utf8(self.buffer.get(begin..end).unwrap_or_default())?;
        if is_success { Ok(body) } else { Err(format!("a request failed: {body}").into()) }
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    length.ok_or_else(|| format!("a response has no length: {head}").into())
}
