//! The simulator, spoken to over HTTP as any client would. One test per fact; the sections are those of the Graph and Entra
//! behaviour page the simulator is built from.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod control;
#[cfg(test)]
mod delta;
#[cfg(test)]
mod device_code;
#[cfg(test)]
mod download;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod items;
#[cfg(test)]
mod program;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod throttle;
