//! Starting and stopping a simulator, and what tests do with one in the same process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::{Config, Listen, User};
use crate::counters::Counts;
use crate::critic::Violation;
use crate::drive::handle::DriveHandle;
use crate::drive::spec::{DriveSpec, SpecError};
use crate::entra::ledger::device::{DecisionError, PendingCode};
use crate::entra::setup::SetupError;
use crate::entra::{RevocationError, SignInError};
use crate::faults::Faults;
use crate::graph::subscriptions::LifecycleError;
use crate::scenario::{self, Scenario, ScenarioError};
use crate::switches::Switches;
use crate::tls::{TlsError, TlsIdentity};
use crate::transport::{Door, Peer};
use crate::world::{Bases, World};
use crate::{control, entra, graph};

/// How long [`Simulator::stop`] waits for answers that are under way.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for the {listener}")]
    Bind {
        /// Which listener.
        listener: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The certificate does not serve.
    #[error("no TLS")]
    Tls(#[from] TlsError),
    /// What is to be registered in Entra cannot be.
    #[error("the configuration of Entra is wrong")]
    Setup(#[from] SetupError),
}

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct Simulator {
    world: Arc<World>,
    servers: JoinSet<()>,
    bound: Listen,
    /// Whether a violation nobody took is a panic at the end.
    strict: bool,
}

impl Simulator {
    /// Binds three listeners and serves them until the simulator is stopped or dropped.
    ///
    /// ```
    /// use simulator::{Config, DriveSpec, FIRST_USER, PUBLIC_CLIENT_ID, Simulator};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let simulator = Simulator::start(Config::default()).await?;
    /// let drive = simulator.create_drive(&DriveSpec { files: 3, folders: 1, ..DriveSpec::default() })?;
    /// assert_eq!(drive.walk().len(), 4);
    /// // A product is given these, and knows nothing of the simulator.
    /// let _addresses = (simulator.authority(), simulator.graph());
    /// let _imported = simulator.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access", FIRST_USER)?;
    /// simulator.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StartError::Bind`] when an address is in use or not ours, [`StartError::Tls`] when the certificate does not serve; nothing
    /// is left running.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listen = config.listen;
        let authority = bind("authority", listen.authority).await?;
        let graph = bind("graph", listen.graph).await?;
        let control = bind("control interface", listen.control).await?;
        let tls = config.tls.as_ref().map(TlsIdentity::acceptor).transpose()?;
        let bases = bases(&config, [authority.1, graph.1, control.1]);
        let world = Arc::new(World::new(config, bases)?);
        let mut servers = JoinSet::new();
        let door = |listener| Door::new(listener, tls.clone(), Arc::clone(&world));
        serve(&mut servers, door(authority.0), entra::router(Arc::clone(&world)), &world);
        serve(&mut servers, door(graph.0), graph::router(Arc::clone(&world)), &world);
        serve(&mut servers, Door::plain(control.0), control::router(Arc::clone(&world)), &world);
        servers.spawn(graph::subscriptions::run(Arc::clone(&world)));
        let bound = Listen { authority: authority.1, graph: graph.1, control: control.1 };
        Ok(Self { world, servers, bound, strict: false })
    }

    /// The same for tests: when this simulator is dropped or stopped with a violation that was not taken by
    /// [`Simulator::take_violations`], it panics and names them all. So a test that says nothing about violations fails on any.
    ///
    /// # Errors
    /// Those of [`Simulator::start`].
    pub async fn start_strict(config: Config) -> Result<Self, StartError> {
        let mut simulator = Self::start(config).await?;
        simulator.strict = true;
        Ok(simulator)
    }

    /// Stops listening, ends everything that waits, and waits for answers under way.
    pub async fn stop(mut self) {
        self.world.stopped.cancel();
        let all = async { while self.servers.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::debug!("connections were still open at the end");
        }
    }

    /// Base address of Entra: `{authority}/{tenant}/oauth2/v2.0/…`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.world.bases.authority.clone()
    }

    /// Base address of Graph, without the version: `{graph}/v1.0/…`.
    #[must_use]
    pub fn graph(&self) -> String {
        self.world.bases.graph.clone()
    }

    /// Base address of the control interface: `{control}/control/…`.
    #[must_use]
    pub fn control(&self) -> String {
        self.world.bases.control.clone()
    }

    /// Where the listeners are, whatever addresses clients use for them.
    #[must_use]
    pub const fn listening(&self) -> Listen {
        self.bound
    }

    /// Creates a drive. It takes about a second for a million items; call it where that blocks nobody.
    ///
    /// # Errors
    /// [`SpecError`] when a number is beyond its limit or the owner is unknown.
    pub fn create_drive(&self, spec: &DriveSpec) -> Result<DriveHandle, SpecError> {
        self.world.create_drive(spec).map(|drive| DriveHandle { drive, world: Arc::clone(&self.world) })
    }

    /// Begins a scenario: its switches are set and its drives created when this returns; its events happen from now on.
    ///
    /// # Errors
    /// [`ScenarioError`] when a drive or its history is not possible.
    pub fn play(&mut self, scenario: Scenario) -> Result<Vec<DriveHandle>, ScenarioError> {
        let drives = scenario.set(&self.world)?;
        self.servers.spawn(scenario::play(scenario, Arc::clone(&self.world), drives.clone()));
        Ok(drives)
    }

    /// The drive of an id.
    #[must_use]
    pub fn drive(&self, id: &str) -> Option<DriveHandle> {
        self.world.drive(id).map(|drive| DriveHandle { drive, world: Arc::clone(&self.world) })
    }

    /// All drives, oldest first.
    #[must_use]
    pub fn drives(&self) -> Vec<DriveHandle> {
        let handle = |drive| DriveHandle { drive, world: Arc::clone(&self.world) };
        self.world.drives().into_iter().map(handle).collect()
    }

    /// The people who can sign in; the first is the default.
    #[must_use]
    pub fn users(&self) -> &[User] {
        &self.world.users
    }

    /// What was asked and answered since the start or the last reset.
    #[must_use]
    pub fn counters(&self) -> Counts {
        self.world.counters.get()
    }

    /// Begins counting at zero; returns what was counted until now.
    pub fn reset_counters(&self) -> Counts {
        self.world.counters.reset()
    }

    /// The faults, to add to and clear.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// The present settings.
    #[must_use]
    pub fn switches(&self) -> Switches {
        self.world.switches()
    }

    /// Changes the settings.
    pub fn switch(&self, change: impl FnOnce(&mut Switches)) {
        self.world.switch(change);
    }

    /// The clock, to move ahead.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.world.clock
    }

    /// The device codes that wait for a person, oldest first.
    #[must_use]
    pub fn pending_device_codes(&self) -> Vec<PendingCode> {
        self.world.entra.ledger().pending_devices(self.world.clock.now_ms())
    }

    /// Approves a user code as the first user.
    ///
    /// # Errors
    /// [`DecisionError`] when no pending sign-in has that code.
    pub fn approve(&self, user_code: &str) -> Result<(), DecisionError> {
        self.world.approve(user_code, None)
    }

    /// Approves a user code as a user, named by principal name or object id.
    ///
    /// # Errors
    /// [`DecisionError`] when no pending sign-in has that code, or the user is unknown or of another tenant.
    pub fn approve_as(&self, user_code: &str, user: &str) -> Result<(), DecisionError> {
        self.world.approve(user_code, Some(user))
    }

    /// Declines a user code.
    ///
    /// # Errors
    /// [`DecisionError`] when no pending sign-in has that code.
    pub fn decline(&self, user_code: &str) -> Result<(), DecisionError> {
        self.world.decline(user_code)
    }

    /// A refresh token as a sign-in somewhere else would have given it, to import.
    ///
    /// # Errors
    /// [`SignInError`] when the application or the user is unknown, or a scope does not exist.
    pub fn issue_refresh_token(
        &self,
        client_id: &str,
        scope: &str,
        user: &str,
    ) -> Result<String, SignInError> {
        self.world.sign_in(client_id, scope, Some(user))
    }

    /// Revokes everything a user's sign-ins gave; refreshing is then refused with this AADSTS number. False when there is no such user.
    pub fn revoke(&self, user: &str, aadsts: u32) -> bool {
        self.world.revoke(Some(user), None, aadsts).is_ok()
    }

    /// Revokes what sign-ins gave: of a user, with an application, or all of them when neither is named.
    ///
    /// # Errors
    /// [`RevocationError`] when there is no such user or application.
    pub fn revoke_sign_ins(
        &self,
        user: Option<&str>,
        client_id: Option<&str>,
        aadsts: u32,
    ) -> Result<(), RevocationError> {
        self.world.revoke(user, client_id, aadsts)
    }

    /// Withdraws consents: of a user, for an application, or all of them. Refreshing is then refused with AADSTS65001.
    ///
    /// # Errors
    /// [`RevocationError`] when there is no such user or application.
    pub fn withdraw_consent(
        &self,
        user: Option<&str>,
        client_id: Option<&str>,
    ) -> Result<(), RevocationError> {
        self.world.withdraw_consent(user, client_id)
    }

    /// Challenges all clients of a user that said they understand it (graph-behaviour §9.6): Graph refuses their access tokens
    /// until they come with one that answers the challenge. Other clients notice nothing.
    ///
    /// # Errors
    /// [`RevocationError`] when there is no such user.
    pub fn challenge(&self, user: &str) -> Result<(), RevocationError> {
        self.world.challenge(user)
    }

    /// Lets applications come back that were blocked for ignoring `Retry-After` (graph-behaviour §7).
    pub fn unblock(&self) {
        self.world.throttle.unblock();
    }

    /// Sends a lifecycle notification, such as `reauthorizationRequired`, to a subscriber (graph-behaviour §8).
    ///
    /// # Errors
    /// [`LifecycleError`] when there is no such subscription, or it has no address for them.
    pub async fn send_lifecycle(&self, subscription: &str, event: &str) -> Result<(), LifecycleError> {
        graph::subscriptions::send_lifecycle(&self.world, subscription, event).await
    }

    /// What clients did wrong, oldest first.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.world.critic().list()
    }

    /// What clients did wrong, oldest first, and forgets it: for a test that provokes it on purpose.
    #[must_use]
    pub fn take_violations(&self) -> Vec<Violation> {
        self.world.critic().take()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.world.stopped.cancel();
        if self.strict && !std::thread::panicking() {
            let violations = self.take_violations();
            assert!(violations.is_empty(), "a client did what it must never do: {violations:#?}");
        }
    }
}

async fn bind(listener: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind { listener, address, source };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}

/// The addresses answers are written with: the public ones, else those of the listeners (Entra, Graph, control).
fn bases(config: &Config, bound: [SocketAddr; 3]) -> Bases {
    let [authority, graph, control] = bound;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let or = |public: &Option<String>, host: String| {
        let base = public.clone().unwrap_or_else(|| format!("{scheme}://{host}"));
        base.trim_end_matches('/').to_owned()
    };
    let content = if graph.ip() == Ipv4Addr::LOCALHOST {
        format!("localhost:{}", graph.port())
    } else {
        graph.to_string()
    };
    Bases {
        authority: or(&config.public.authority, authority.to_string()),
        graph: or(&config.public.graph, graph.to_string()),
        control: format!("http://{control}"),
        downloads: or(&config.public.content, content),
    }
}

fn serve(servers: &mut JoinSet<()>, door: Door, router: Router, world: &World) {
    let stopped = world.stopped.clone();
    let service = router.into_make_service_with_connect_info::<Peer>();
    servers.spawn(async move {
        let server = axum::serve(door, service).with_graceful_shutdown(stopped.cancelled_owned());
        if let Err(error) = server.await {
            tracing::error!(%error, "a listener ended");
        }
    });
}
