//! Finds the service that a request is for.
//!
//! Own code, because tonic's router is one for web sites, which puts boxes around each request and each answer. The path of an RPC is
//! `/{service}/{method}` and nothing else.

use std::convert::Infallible;

use http::{Request, Response};
use tonic::{Status, body::Body, codegen::BoxFuture, server::NamedService};
use tower::Service;

/// What a service gives. It never fails: an error is an answer.
pub(super) type Answer = BoxFuture<Response<Body>, Infallible>;

type Call = Box<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// The services of a server, so few that looking at each is faster than hashing.
#[derive(Default)]
pub(super) struct Routes(Vec<(&'static str, Call)>);

impl Routes {
    /// Adds a service, which must always be ready, as generated ones are.
    pub(super) fn add<S>(&mut self, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.0.push((S::NAME, Box::new(move |request| service.clone().call(request))));
    }

    /// Hands a request to its service.
    pub(super) fn call(&self, request: Request<Body>) -> Answer {
        let path = request.uri().path().strip_prefix('/');
        let name = path.and_then(|path| path.split_once('/')).map_or("", |(name, _)| name);
        match self.0.iter().find(|(service, _)| *service == name) {
            Some((_, service)) => service(request),
            None => Box::pin(std::future::ready(Ok(Status::unimplemented("").into_http()))),
        }
    }
}
