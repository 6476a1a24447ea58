//! How much may be used: what is set, or what is documented for a tenant of a size (graph-behaviour §7).

use crate::switches::Switches;

/// Gigabyte, as the documents count.
const GB: u64 = 1_000_000_000;
/// Requests of a user per five minutes, whatever the tenant's size.
const USER_REQUESTS: u32 = 3_000;
/// Token requests of a user per five minutes.
const USER_TOKENS: u32 = 50;
/// Bytes a user may upload and download per hour.
const USER_INGRESS: u64 = 50 * GB;
const USER_EGRESS: u64 = 100 * GB;
/// Bytes an app may upload, and download, per hour in one tenant.
const APP_BYTES: u64 = 400 * GB;
/// Requests of an app per ten seconds, in all tenants together.
const APP_REQUESTS: u32 = 130_000;
/// Tenants by their number of licences: up to so many, the resource units of all apps per five minutes, of one app per minute, and
/// of one app per day.
const BY_LICENCES: [(u32, [u32; 3]); 5] = [
    (1_000, [18_750, 1_250, 1_200_000]),
    (5_000, [37_500, 2_500, 2_400_000]),
    (15_000, [56_250, 3_750, 3_600_000]),
    (50_000, [75_000, 5_000, 4_800_000]),
    (u32::MAX, [93_750, 6_250, 6_000_000]),
];

/// How much may be used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Resource units of an app in a tenant per minute.
    pub(super) per_minute: Option<u32>,
    /// Resource units of an app in a tenant per day.
    pub(super) per_day: Option<u32>,
    /// Resource units of all apps in a tenant per five minutes.
    pub(super) per_tenant: Option<u32>,
    /// Requests of an app in all tenants per ten seconds.
    pub(super) per_app: Option<u32>,
    /// Requests of a user per five minutes.
    pub(super) per_user: Option<u32>,
    /// Token requests of a user per five minutes.
    pub(super) tokens_per_user: Option<u32>,
    /// Bytes per hour that an app may upload and download in a tenant, then those of a user.
    pub(super) bytes_per_app: [Option<u64>; 2],
    pub(super) bytes_per_user: [Option<u64>; 2],
    /// Whether refused calls count like others.
    pub(super) refused_count: bool,
}

impl Limits {
    /// The present limits: each as it is set, else as it is documented for a tenant with so many licences.
    pub(crate) fn of(switches: &Switches) -> Self {
        let set = &switches.limits;
        let units = set.licences.and_then(units);
        let documented = |value| set.licences.map(|_| value);
        let bytes = |value| set.licences.map(|_| value);
        Self {
            per_minute: switches.resource_units_per_minute.or(units.map(|[_, minute, _]| minute)),
            per_day: set.resource_units_per_day.or(units.map(|[_, _, day]| day)),
            per_tenant: set.tenant_resource_units_per_five_minutes.or(units.map(|[tenant, ..]| tenant)),
            per_app: set.app_requests_per_ten_seconds.or(documented(APP_REQUESTS)),
            per_user: set.user_requests_per_five_minutes.or(documented(USER_REQUESTS)),
            tokens_per_user: set.user_token_requests_per_five_minutes.or(documented(USER_TOKENS)),
            bytes_per_app: [
                set.ingress_bytes_per_hour.or(bytes(APP_BYTES)),
                set.egress_bytes_per_hour.or(bytes(APP_BYTES)),
            ],
            bytes_per_user: [
                set.user_ingress_bytes_per_hour.or(bytes(USER_INGRESS)),
                set.user_egress_bytes_per_hour.or(bytes(USER_EGRESS)),
            ],
            refused_count: set.refused_calls_count,
        }
    }
}

/// The resource units of a tenant with so many licences.
fn units(licences: u32) -> Option<[u32; 3]> {
    BY_LICENCES.iter().find(|(most, _)| licences <= *most).map(|(_, units)| *units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_7_a_tenant_of_a_size_has_the_documented_units() {
        for (licences, minute) in
            [(1, 1_250), (1_000, 1_250), (1_001, 2_500), (15_000, 3_750), (50_000, 5_000), (50_001, 6_250)]
        {
            assert_eq!(units(licences).map(|[_, minute, _]| minute), Some(minute), "{licences}");
        }
    }

    #[test]
    fn section_7_what_is_set_takes_the_place_of_what_is_documented() {
        let mut switches = Switches::default();
        let nothing = Limits::of(&switches);
        assert!(
            nothing.per_minute.is_none() && nothing.per_user.is_none() && nothing.bytes_per_app[0].is_none()
        );
        switches.limits.licences = Some(7_000);
        switches.limits.user_requests_per_five_minutes = Some(9);
        let limits = Limits::of(&switches);
        assert_eq!((limits.per_tenant, limits.per_day), (Some(56_250), Some(3_600_000)));
        assert_eq!((limits.per_user, limits.tokens_per_user), (Some(9), Some(50)));
        assert_eq!(limits.bytes_per_user, [Some(50_000_000_000), Some(100_000_000_000)]);
    }
}
