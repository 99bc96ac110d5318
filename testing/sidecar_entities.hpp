#pragma once
/// Entities of a sidecar in tests: small rings, each in a directory of its own.

#include <ferry/sidecar.hpp>

#include <chrono>
#include <cstdint>
#include <string>

#include "sidecar/sidecar.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::test {

/// @param entity  201: of service 2, its directory is "201"
[[nodiscard]] inline sidecar::entity_settings small_entity(const temp_dir& dir, std::uint32_t entity,
                                                           std::uint32_t pipes = 1) {
  sidecar::entity_settings made;
  made.service = entity / 100;
  made.entity = entity;
  made.directory = dir.file(std::to_string(entity));
  made.pipes = pipes;
  made.receive_bytes = made.send_bytes = 64 << 10;
  return made;
}

/// Of an instance of that entity, which is never late: its heartbeat has an hour, its messages are valid for ever.
[[nodiscard]] inline service_options small_service(const temp_dir& dir, std::uint32_t entity) {
  service_options made;
  made.number = entity / 100;
  made.entity = entity;
  made.directory = dir.file(std::to_string(entity));
  made.retry_interval = std::chrono::milliseconds(20);
  made.heartbeat_timeout = std::chrono::hours(1);
  made.message_validity = {};
  return made;
}

}  // namespace ferry::test
