//! What a browser does between a client and Entra: opens the authorization address, sends forms, and is led back.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use simulator::{PUBLIC_CLIENT_ID, TENANT_ID};

use crate::bench::{Answer, Bench};

/// RFC 7636 Appendix B
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// What the verifier is hashed to.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Where the public client listens.
pub(crate) const LOOPBACK: &str = "http://localhost:4711";
/// Where the page in a browser is.
pub(crate) const SPA: &str = "https://spa.contoso.example/";
/// What the clients ask for.
pub(crate) const SCOPE: &str = "openid offline_access Files.Read.All";

/// A browser; it keeps its cookie when it is told to.
pub(crate) struct Browser<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) cookie: Option<String>,
}

/// Where the browser is after a request.
pub(crate) struct Place {
    pub(crate) answer: Answer,
    /// What the client was given, if the browser was led back to it.
    pub(crate) given: BTreeMap<String, String>,
}

impl Place {
    pub(crate) fn given(&self, name: &str) -> &str {
        self.given.get(name).unwrap_or_else(|| panic!("no {name} in {:?} {}", self.given, self.answer.body))
    }

    pub(crate) fn page(&self) -> &str {
        assert!(self.given.is_empty(), "{:?}", self.given);
        self.answer.body.as_str().unwrap()
    }
}

impl<'a> Browser<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        Self { bench, cookie: None }
    }

    /// Opens the authorization address with what every client sends, changed by `more`; an empty value leaves a parameter out.
    pub(crate) async fn open(&mut self, more: &[(&str, &str)]) -> Place {
        self.open_at(TENANT_ID, more).await
    }

    pub(crate) async fn open_at(&mut self, tenant: &str, more: &[(&str, &str)]) -> Place {
        let mut parameters: BTreeMap<&str, &str> = BTreeMap::from([
            ("client_id", PUBLIC_CLIENT_ID),
            ("response_type", "code"),
            ("redirect_uri", LOOPBACK),
            ("scope", SCOPE),
            ("state", "a state & more"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        parameters.extend(more.iter().copied());
        parameters.retain(|_, value| !value.is_empty());
        let address = format!("{}/{tenant}/oauth2/v2.0/authorize", self.bench.sim.authority());
        self.send(self.bench.http.get(address).query(&parameters)).await
    }

    /// Sends the form of a page, with `fields` beside the hidden ones.
    pub(crate) async fn submit(&mut self, page: &str, fields: &[(&str, &str)]) -> Place {
        let action = between(page, "action=\"", "\"");
        let context = between(page, "name=ctx value=\"", "\"");
        let mut all = vec![("ctx", context)];
        all.extend(fields);
        let address = format!("{}{action}", self.bench.sim.authority());
        self.send(self.bench.http.post(address).form(&all)).await
    }

    pub(crate) async fn send(&mut self, request: reqwest::RequestBuilder) -> Place {
        let request = match &self.cookie {
            Some(cookie) => request.header(COOKIE, format!("other=1; {cookie}")),
            None => request,
        };
        let answer = self.bench.send(request).await;
        if let Some(set) = answer.headers.get(SET_COOKIE) {
            self.cookie = set.to_str().unwrap().split(';').next().map(str::to_owned);
        }
        let location = answer.headers.get(LOCATION).map(|value| value.to_str().unwrap().to_owned());
        let given = location.as_deref().map(parameters).unwrap_or_default();
        Place { answer, given }
    }

    /// Signs somebody in and returns the code.
    pub(crate) async fn code(&mut self, user: &str, more: &[(&str, &str)]) -> String {
        let opened = self.open(more).await;
        let page = opened.page().to_owned();
        self.submit(&page, &[("user", user)]).await.given("code").to_owned()
    }
}

/// Redeems a code of the public client, with fields changed by `more`; an empty value leaves a field out.
pub(crate) async fn redeem(bench: &Bench, code: &str, more: &[(&str, &str)]) -> Answer {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::from([
        ("grant_type", "authorization_code"),
        ("client_id", PUBLIC_CLIENT_ID),
        ("code", code),
        ("redirect_uri", LOOPBACK),
        ("code_verifier", VERIFIER),
    ]);
    fields.extend(more.iter().copied());
    fields.retain(|_, value| !value.is_empty());
    bench.token_request(&fields.into_iter().collect::<Vec<_>>()).await
}

pub(crate) fn parameters(location: &str) -> BTreeMap<String, String> {
    let (_, encoded) = location.split_once(['?', '#']).unwrap_or((location, ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = encoded.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

pub(crate) fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}
