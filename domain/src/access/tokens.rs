//! Access and refresh tokens of users: signed claims with a short lifetime.

use crate::{
    Error, Result,
    kernel::{
        app::{App, Feature},
        clock,
        secrets::{self, Secret},
    },
};
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Purpose of a token. One type is never accepted in place of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    Access,
    Refresh,
}

impl TokenType {
    /// Returns how long a token is valid: 15 minutes for access, 7 days for refresh.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Access => Duration::minutes(15),
            Self::Refresh => Duration::days(7),
        }
    }
}

/// Claims of a token. `token_type`, `exp`, `jti` and `user_id` are documented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub token_type: TokenType,
    pub exp: i64,
    pub iat: i64,
    pub nbf: i64,
    /// 32 hexadecimal digits.
    pub jti: String,
    pub user_id: Uuid,
    pub iss: String,
    pub aud: String,
    /// Session id.
    pub sid: Uuid,
    /// Version of the login. Tokens of older versions are invalid.
    pub ver: i64,
}

/// User and session of a token.
#[derive(Clone, Copy, Debug)]
pub struct Bearer {
    pub user_id: Uuid,
    pub session_id: Uuid,
    pub version: i64,
}

/// Tolerated clock difference between servers, in seconds.
const SKEW: i64 = 30;

const ISSUER: &str = "coffer";

/// Signs and verifies tokens. The algorithm is always HMAC-SHA256, independent of a token's header.
#[derive(Clone)]
pub struct Tokens {
    sign: EncodingKey,
    read: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

/// Generates a token id.
pub fn new_id() -> Result<String> {
    Ok(hex::encode(secrets::random::<16>()?))
}

impl Tokens {
    /// Creates a signer and verifier with this key.
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
        Self {
            sign: EncodingKey::from_secret(key.reveal()),
            read: DecodingKey::from_secret(key.reveal()),
            validation,
        }
    }

    /// Signs a token. The same arguments give the same token.
    pub fn sign(
        &self,
        token_type: TokenType,
        bearer: Bearer,
        id: &str,
        issued_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Secret<String>> {
        let issued = issued_at.timestamp();
        let claims = Claims {
            token_type,
            exp: expires_at.timestamp(),
            iat: issued,
            nbf: issued - SKEW,
            jti: id.to_owned(),
            user_id: bearer.user_id,
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sid: bearer.session_id,
            ver: bearer.version,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign);
        token.map(Secret::new).map_err(|_| Error::broken("a token could not be signed"))
    }

    /// Returns a new access token and the time when it expires.
    pub fn access(&self, bearer: Bearer) -> Result<(Secret<String>, DateTime<Utc>)> {
        let now = clock::system_now();
        let expires_at = now + TokenType::Access.lifetime();
        Ok((self.sign(TokenType::Access, bearer, &new_id()?, now, expires_at)?, expires_at))
    }

    /// Verifies a token of this type and returns its claims. All invalid tokens get the same error.
    pub fn read(&self, token_type: TokenType, token: &str) -> Result<Claims> {
        let read = jsonwebtoken::decode::<Claims>(token, &self.read, &self.validation)
            .map_err(|_| Error::Unauthenticated)?;
        let claims = read.claims;
        // The library accepts a token in the second of its expiry.
        let unexpired = claims.exp > clock::system_now().timestamp();
        let well_formed = claims.token_type == token_type && claims.jti.len() == 32;
        if unexpired && well_formed { Ok(claims) } else { Err(Error::Unauthenticated) }
    }
}

/// Whether a credential looks like a token rather than an API key.
pub fn looks_like(credential: &str) -> bool {
    credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Feature for Tokens {
    fn new(app: &App) -> Self {
        Self::new(app.vault.token_key())
    }
}
