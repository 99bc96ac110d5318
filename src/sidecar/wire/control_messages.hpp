#pragma once
/// Control messages between a service and its sidecar, as bytes and back: the header and the protobuf behind it.
/// Source: docs/sidecar.md.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstddef>
#include <vector>

#include "codec/sidecar_control.hpp"
#include "codec/sidecar_notices.hpp"

namespace ferry::sidecar::wire {

/// Appends a whole message, header included. @return message_too_large: texts and tags that make it larger than the
/// limit of 10 MiB | misuse: a text is not UTF-8; nothing is appended then
[[nodiscard]] result<void> append(std::vector<std::byte>& to, const codec::sidecar::notice& what);

/// What a message of the decoder says. @return other_notice for a number that is reserved or unknown | protocol: the
/// bytes are not this message's protobuf, a text is not UTF-8, or a value has no meaning
[[nodiscard]] result<codec::sidecar::notice> decode(const codec::sidecar::control_message& what);

}  // namespace ferry::sidecar::wire
