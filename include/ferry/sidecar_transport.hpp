#pragma once
/// `sidecar://DIR?to=ENTITY`: channels between services of one host, through their sidecar. Source: docs/sidecar.md.

#include <ferry/context.hpp>

namespace ferry {

/// Has a context take URLs of the scheme "sidecar". DIR is the directory that the sidecar has made for the entity that
/// this process is; who listens leaves `to` out. All channels of a directory share one service, which takes one of its
/// pipes while there is a channel or a listener. Before the context is shared or used.
void add_sidecar_transport(context& where);

}  // namespace ferry
