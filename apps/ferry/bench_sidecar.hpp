#pragma once
/// Services that reach each other through a sidecar, against rings without one. One thread sends and polls all
/// services, the sidecar has another one; both are pinned. Rings are native. Everything that arrives is counted, and
/// its numbers are checked. Outcomes: as of bench_ring.hpp, and errc::unsupported: this ferry was built without the
/// sidecar.

#include "apps/ferry/bench_ring.hpp"

namespace ferry::app {

/// Nanoseconds of a round trip of 64 bytes from service to service: `ring`; `other` is the bare ring, without a
/// sidecar. A round is the median of 21 trains of 1000 trips, once the rings have gone round.
[[nodiscard]] result<bench::ring_comparison> measure_sidecar_round_trip(const ring_plan& plan);
/// Messages of 64 bytes per second one way: `ring`; `other` is the bare ring, where who sends and who receives have a
/// core each. A round is the best of 9 trains of 20 000.
[[nodiscard]] result<bench::ring_comparison> measure_sidecar_rate(const ring_plan& plan);
/// Nanoseconds for each of 8 receivers of 16 KiB, from the first call until all have read a byte of every line of the
/// cache of it: `ring` is one message to all of a service, `other` one to each. A round is the median of 21 trains of
/// 16, after others that touch all pages of the rings.
[[nodiscard]] result<bench::ring_comparison> measure_sidecar_broadcast(const ring_plan& plan);
/// The same, but until the last call has returned: what it costs who sends.
[[nodiscard]] result<bench::ring_comparison> measure_sidecar_broadcast_sending(const ring_plan& plan);
/// Nanoseconds between two messages that arrive one after the other, the longest such time while the route changes from
/// one instance to the other: a round is the 99th percentile of 100 changes.
[[nodiscard]] result<bench::ring_comparison> measure_sidecar_route_change(const ring_plan& plan);
/// As measure_sidecar_rate: `ring` with 256 more services, to which nothing is sent; `other` without them.
[[nodiscard]] result<bench::ring_comparison> measure_sidecar_idle(const ring_plan& plan);

}  // namespace ferry::app
