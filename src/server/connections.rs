//! Limits on open connections, in total and for each address, with a reserve for health checks.

use super::client_address::{Network, client_network};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Number of connections reserved for health checks, in addition to all other limits.
pub const MAX_HEALTH_CHECKS: usize = 32;
/// Maximum number of these for one address.
const MAX_HEALTH_CHECKS_PER_ADDRESS: usize = 4;

/// Maximum numbers of open connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// In total, without the connections reserved for health checks.
    pub total: usize,
    /// For one IPv4 address or one IPv6 /64 network.
    pub per_address: usize,
    /// Networks to which only the total applies: trusted proxies.
    pub exempt: Vec<Network>,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total: 4096, per_address: 256, exempt: Vec::new() }
    }
}

/// Purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Regular,
    /// A limit is reached: the connection may only be used for health checks, for a short time.
    HealthChecks,
}

/// Counts of open connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: ConnectionLimits,
    open: Mutex<Open>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    total: Count,
    by_network: HashMap<IpAddr, Count>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    regular: usize,
    health_checks: usize,
}

impl Count {
    fn of(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Regular => &mut self.regular,
            Lane::HealthChecks => &mut self.health_checks,
        }
    }
}

/// Open connection, counted until it is dropped.
#[derive(Debug)]
pub struct Permit {
    connections: Connections,
    network: IpAddr,
    pub lane: Lane,
}

impl Connections {
    pub fn new(limits: ConnectionLimits) -> Self {
        Self(Arc::new(Shared { limits, open: Mutex::default(), closed: Notify::new() }))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a new connection from this address. None if it must be closed at once.
    pub fn admit(&self, address: IpAddr) -> Option<Permit> {
        let limits = &self.0.limits;
        let network = client_network(address);
        let mut open = self.open();
        let own = open.by_network.get(&network).copied().unwrap_or_default();
        let exempt = limits.exempt.iter().any(|exempt| exempt.contains(address));
        let lane = if open.total.regular < limits.total && (exempt || own.regular < limits.per_address) {
            Lane::Regular
        } else if open.total.health_checks < MAX_HEALTH_CHECKS
            && own.health_checks < MAX_HEALTH_CHECKS_PER_ADDRESS
        {
            Lane::HealthChecks
        } else {
            return None;
        };
        *open.total.of(lane) += 1;
        *open.by_network.entry(network).or_default().of(lane) += 1;
        Some(Permit { connections: self.clone(), network, lane })
    }

    /// Waits until all connections are closed.
    pub async fn all_closed(&self) {
        loop {
            let closed = self.0.closed.notified();
            if self.open().total == Count::default() {
                return;
            }
            closed.await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        let less = |count: &mut usize| *count = count.saturating_sub(1);
        less(open.total.of(self.lane));
        if let Some(own) = open.by_network.get_mut(&self.network) {
            less(own.of(self.lane));
            if *own == Count::default() {
                open.by_network.remove(&self.network);
            }
        }
        drop(open);
        self.connections.0.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(connections: &Connections, address: &str, times: usize) -> Vec<Permit> {
        (0..times).filter_map(|_| connections.admit(address.parse().unwrap())).collect()
    }

    fn lanes(permits: &[Permit]) -> (usize, usize) {
        let regular = permits.iter().filter(|permit| permit.lane == Lane::Regular).count();
        (regular, permits.len() - regular)
    }

    #[test]
    fn one_address_leaves_room_for_others_and_for_health_checks() {
        let exempt = vec!["10.0.0.0/8".parse().unwrap()];
        let connections = Connections::new(ConnectionLimits { total: 100, per_address: 20, exempt });
        let one_address = admitted(&connections, "192.0.2.1", 200);
        assert_eq!(lanes(&one_address), (20, MAX_HEALTH_CHECKS_PER_ADDRESS));
        assert_eq!(
            lanes(&admitted(&connections, "::ffff:192.0.2.1", 1)),
            (0, 0),
            "the same address, written differently"
        );
        let network = admitted(&connections, "2001:db8::1", 15);
        let same_network = admitted(&connections, "2001:db8::ffff:1", 15);
        assert_eq!((lanes(&network), lanes(&same_network)), ((15, 0), (5, 4)));
        let proxy = admitted(&connections, "10.1.2.3", 200);
        assert_eq!(lanes(&proxy), (60, 4), "only the total applies to a trusted proxy");
        let others: Vec<Permit> =
            (1..=20).flat_map(|last| admitted(&connections, &format!("198.51.100.{last}"), 2)).collect();
        assert_eq!(lanes(&others), (0, MAX_HEALTH_CHECKS - 12), "the total is reached");
        drop(one_address);
        assert_eq!(lanes(&admitted(&connections, "192.0.2.1", 1)), (1, 0));
        drop((network, same_network, proxy, others));
        assert!(connections.open().by_network.is_empty() && connections.open().total == Count::default());
    }
}
