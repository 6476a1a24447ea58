//! A concern around every request, written as one asynchronous function. Concerns are put together first and around the service
//! then, so that a request makes one future and one clone of the service, however many there are.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

/// One concern: sees the request, calls what is inside, sees the answer.
pub(super) trait Middleware: Clone + Send + Sync + 'static {
    /// Handles one request.
    fn handle(&self, request: Request<Body>, next: impl Next) -> impl Future<Output = Response<Body>> + Send;
}

/// The inside of one request. It never fails: an error is an answer.
pub(super) trait Next: Send + 'static {
    /// Hands the request in.
    fn run(self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;
}

/// A concern with another one inside.
#[derive(Clone, Copy)]
pub(super) struct Stack<O, I> {
    outer: O,
    inner: I,
}

impl<O, I> Stack<O, I> {
    pub(super) fn new(outer: O, inner: I) -> Self {
        Self { outer, inner }
    }
}

impl<O: Middleware, I: Middleware> Middleware for Stack<O, I> {
    async fn handle(&self, request: Request<Body>, next: impl Next) -> Response<Body> {
        self.outer.handle(request, Inside { middleware: self.inner.clone(), next }).await
    }
}

/// What the outer concern of a [`Stack`] has inside.
struct Inside<M, N> {
    middleware: M,
    next: N,
}

impl<M: Middleware, N: Next> Next for Inside<M, N> {
    async fn run(self, request: Request<Body>) -> Response<Body> {
        self.middleware.handle(request, self.next).await
    }
}

/// What concerns are put around.
pub(super) trait Inner:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Inner for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// The service, innermost.
struct Innermost<S>(S);

impl<S: Inner> Next for Innermost<S> {
    async fn run(mut self, request: Request<Body>) -> Response<Body> {
        match self.0.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Puts a concern around a service.
#[derive(Clone, Copy)]
pub(super) struct Around<M>(pub(super) M);

/// A service with a concern around it.
#[derive(Clone)]
pub(super) struct Surrounded<M, S> {
    middleware: M,
    inner: S,
}

impl<M: Clone, S> Layer<S> for Around<M> {
    type Service = Surrounded<M, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Surrounded { middleware: self.0.clone(), inner }
    }
}

impl<M: Middleware, S: Inner> Service<Request<Body>> for Surrounded<M, S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready handles this request; its clone waits for the next.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let middleware = self.middleware.clone();
        Box::pin(async move { Ok(middleware.handle(request, Innermost(ready)).await) })
    }
}
