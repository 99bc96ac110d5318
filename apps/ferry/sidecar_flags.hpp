#pragma once
/// The parameters of `ferry sidecar`: from a file, the environment and the command line.

#include <ferry/error.hpp>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sidecar/parameters.hpp"

namespace ferry::app {

struct sidecar_flags {
  std::string config;                                       ///< --config FILE; empty: none
  std::vector<std::string> services;                        ///< --service name=7,id=101,dir=DIR, in order
  std::vector<std::pair<std::string, std::string>> values;  ///< --NAME VALUE, in order
};

/// Each of these wins over those before it: the defaults, the TOML file (at its top or in [sidecar]), the environment
/// (FERRY_SIDECAR_HEARTBEAT_TIMEOUT), the command line. What is set of an entity there holds for all; [[service]] and
/// --service are entities, each with what it says itself.
/// @return unknown_option | bad_option | the error of reading a file
[[nodiscard]] result<sidecar::configuration> sidecar_configuration(const sidecar_flags& flags,
                                                                   std::span<const char* const> environment);

}  // namespace ferry::app
