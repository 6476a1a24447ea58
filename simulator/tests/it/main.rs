//! The simulator, spoken to over HTTP as any client would. One test per fact; the sections are those of the Graph and Entra
//! behaviour page the simulator is built from.

#[cfg(test)]
mod assertions;
#[cfg(test)]
mod authorize;
#[cfg(test)]
mod batch;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod cae;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod control;
#[cfg(test)]
mod delta;
#[cfg(test)]
mod device_code;
#[cfg(test)]
mod download;
#[cfg(test)]
mod entra_errors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod foreign_clients;
#[cfg(test)]
mod habits;
#[cfg(test)]
mod id_token;
#[cfg(test)]
mod items;
#[cfg(test)]
mod json_schema;
#[cfg(test)]
mod network;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod program;
#[cfg(test)]
mod recycle_bin;
#[cfg(test)]
mod redeem;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod search;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod special_items;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod throttle;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod upload;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod writes;
