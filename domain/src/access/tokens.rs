//! The tokens of people who have signed in: signed claims, good for a short time.

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

/// What a token is for. One never does for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    Access,
    Refresh,
}

impl TokenType {
    /// How long a token is good for: 15 minutes, and 7 days to renew it.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Access => Duration::minutes(15),
            Self::Refresh => Duration::days(7),
        }
    }
}

/// What a token says. `token_type`, `exp`, `jti` and `user_id` are the documented ones.
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
    /// The session.
    pub sid: Uuid,
    /// The version of the sign-in; a token of an older one is worth nothing.
    pub ver: i64,
}

/// The user and the session of a token.
#[derive(Clone, Copy, Debug)]
pub struct Bearer {
    pub user_id: Uuid,
    pub session_id: Uuid,
    pub version: i64,
}

/// By how many seconds servers' clocks may differ.
const SKEW: i64 = 30;

const HOUSE: &str = "coffer";

/// Signs and reads tokens. The algorithm is HMAC-SHA256 whatever a token's header says.
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

/// A token's own id.
pub fn new_id() -> Result<String> {
    Ok(hex::encode(secrets::random::<16>()?))
}

impl Tokens {
    /// Works with this key.
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&[HOUSE]);
        validation.set_audience(&[HOUSE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
        Self {
            sign: EncodingKey::from_secret(key.reveal()),
            read: DecodingKey::from_secret(key.reveal()),
            validation,
        }
    }

    /// Signs a token, the same one for the same arguments.
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
            iss: HOUSE.to_owned(),
            aud: HOUSE.to_owned(),
            sid: bearer.session_id,
            ver: bearer.version,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign);
        token.map(Secret::new).map_err(|_| Error::broken("a token could not be signed"))
    }

    /// A new access token, and until when it is good.
    pub fn access(&self, bearer: Bearer) -> Result<(Secret<String>, DateTime<Utc>)> {
        let now = clock::system_now();
        let expires_at = now + TokenType::Access.lifetime();
        Ok((self.sign(TokenType::Access, bearer, &new_id()?, now, expires_at)?, expires_at))
    }

    /// What a token of this type says; refused alike for every reason.
    pub fn read(&self, token_type: TokenType, token: &str) -> Result<Claims> {
        let read = jsonwebtoken::decode::<Claims>(token, &self.read, &self.validation)
            .map_err(|_| Error::Unauthenticated)?;
        let claims = read.claims;
        // The library takes a token in the very second it expires in.
        let good = claims.exp > clock::system_now().timestamp();
        let whole = claims.token_type == token_type && claims.jti.len() == 32;
        if good && whole { Ok(claims) } else { Err(Error::Unauthenticated) }
    }
}

/// Whether a credential has the shape of a token rather than of a key.
pub fn looks_like(credential: &str) -> bool {
    credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Feature for Tokens {
    fn new(app: &App) -> Self {
        Self::new(app.vault.token_key())
    }
}
