#pragma once
/// Entities of a sidecar in tests: small rings, each in a directory of its own.

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

}  // namespace ferry::test
