#pragma once
/// The parameters of `ferry gateway`: from a file, the environment and the command line, in the spelling of the seed
/// too.

#include <ferry/error.hpp>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gateway/parameters.hpp"

namespace ferry::app {

struct gateway_flags {
  std::string config;                                       ///< --config FILE; empty: none
  std::vector<std::pair<std::string, std::string>> values;  ///< --NAME VALUE, in order
};

/// Words of a command line with those in the seed's spelling written as ours: "-ClientMaxConn", "16" and
/// "-ClientMaxConn=16" become "--client-max-conn=16"; a switch alone ("-ReusePort") becomes "--reuse-port=true".
[[nodiscard]] std::vector<std::string> spelled_as_ours(std::vector<std::string> words);

/// Each of these wins over those before it: the defaults, the TOML file (at its top or in [gateway]), the environment
/// (FERRY_GATEWAY_CLIENT_MAX_CONN), the command line.
/// @return unknown_option | bad_option | the error of reading a file
[[nodiscard]] result<gateway::configuration> gateway_configuration(const gateway_flags& flags,
                                                                   std::span<const char* const> environment);

/// Sets what the text of a TOML file says. @param file_name  for error texts, which begin with "FILE:LINE: "
[[nodiscard]] result<void> set_parameters_from_toml(gateway::configuration& target, std::string_view text,
                                                    const std::string& file_name);

}  // namespace ferry::app
