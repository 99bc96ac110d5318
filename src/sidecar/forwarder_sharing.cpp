// Bodies that several instances of one service get.
#include "sidecar/forwarder_lanes.hpp"

namespace ferry::sidecar {

// To all that the message in hand is for now.
void forwarder::announce_body() noexcept {
  ++message_;
  if (to_.size() < 2 || reader_.body().size() < k_least_shared_body) return;
  for (const auto& to : to_)
    if (auto* const where = lane_at(to).files->shares(); where != nullptr) where->announce(message_);
}

// False: it gets a copy, or nothing.
bool forwarder::write_reference(lane& there, const formed_message& what) {
  auto* const where = there.files->shares();
  if (where == nullptr || !where->is_for_several(message_)) return false;
  const auto before = where->placed();
  const bool is_written = there.files->write_shared(what.all[0], reader_.body());
  counts_.shared += where->placed() - before;
  counts_.references += is_written ? 1 : 0;
  return is_written;
}

}  // namespace ferry::sidecar
