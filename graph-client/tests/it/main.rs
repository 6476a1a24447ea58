//! The client against a server that answers by script, and against the simulator.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod downloads;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tokens;
