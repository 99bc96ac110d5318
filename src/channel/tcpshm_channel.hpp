#pragma once
/// Channels with `compat=tcpshm`: a program of tcpshm is on the other end, or whatever speaks its protocol. They are
/// made in compat/, around the client and the server of the poll API. Source: docs/compat-tcpshm.md.

#include <ferry/url.hpp>

#include "channel/arrivals.hpp"

namespace ferry::detail {

/// @param to  of tcp or shm, with host and port
/// @return bad_option | unsupported: what does not go together with it, or is not there | bad_address: no directory
[[nodiscard]] result<std::shared_ptr<channel_impl>> make_tcpshm_connecting(context& where, std::string url,
                                                                           const std::shared_ptr<const options>& with,
                                                                           const endpoint& to);
/// Listens already. @return as above | address_in_use | permission | not_found ...
[[nodiscard]] result<std::unique_ptr<arrivals>> tcpshm_arrivals(context& where, const endpoint& at,
                                                                const std::shared_ptr<const options>& with);

}  // namespace ferry::detail
