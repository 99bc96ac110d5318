#pragma once
/// What the forwarder keeps of each pipe, for its own files alone.

#include <cstdint>
#include <memory>
#include <vector>

#include "sidecar/forwarder.hpp"

namespace ferry::sidecar {

struct forwarder::lane {
  session::service_address where;
  std::unique_ptr<pipe> files;
  const std::byte* waiting = nullptr;  // the message at the front that waits; null: none does
  time_point since{};                  // when it began to wait
  bool in_part = false;                // of those that it is for some have it, and `rest` have not
  std::vector<std::uint32_t> rest;     // entities
  bool is_full = false;                // somebody has waited for room here in vain
  int faults = 0;                      // of its ring, one after the other
  time_point quiet_since{};            // nothing was there then, and ever since; 0: something was
  bool is_held = false;                // what its lock said
  time_point asked{};                  // when that was asked last

  void forget() noexcept {
    waiting = nullptr;
    in_part = false;
    rest.clear();
  }
};

struct forwarder::place {
  std::vector<lane> lanes;  // by pipe
  bool given_up = false;    // somebody has waited for an instance in vain
};

/// To the main instance of an entity, until the routes are others or a lane is.
struct forwarder::way {
  std::uint32_t entity = 0;
  std::uint64_t set_version = 0;
  lane* there = nullptr;  // null: none
  native_writer* out = nullptr;
};

}  // namespace ferry::sidecar
