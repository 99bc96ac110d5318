#pragma once
/// How two sides agree on permessage-deflate: the values of the header Sec-WebSocket-Extensions. Several headers of
/// that name are one, joined by commas. Source: RFC 7692, sections 5 and 7.1; RFC 6455, section 9.1.

#include <ferry/error.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "codec/permessage_deflate.hpp"

namespace ferry::codec {

/// What a client asks for. `wishes`: the largest windows that it wants in use, and what shall not be taken over.
[[nodiscard]] std::string deflate_offer(const deflate_parameters& wishes);

struct deflate_acceptance {
  deflate_parameters agreed;
  std::string answer;  ///< value of the server's header
};

/// What a server answers: takes the first offer of the header that it understands. Offers of other extensions, with
/// parameters that are unknown, given twice or out of range are passed over; a header that cannot be read offers
/// nothing.
/// @param wishes  as above; the client's window can be limited only where the offer allows it
/// @return nothing: no extension, no header in the answer
[[nodiscard]] std::optional<deflate_acceptance> accept_deflate(std::string_view offers,
                                                               const deflate_parameters& wishes);

/// What a client makes of the answer to deflate_offer(wishes).
/// @param answer  empty: the server did not take the extension
/// @return nothing: no compression | protocol: an answer that is none to this offer; the connection must not be used
[[nodiscard]] result<std::optional<deflate_parameters>> accepted_deflate(std::string_view answer,
                                                                         const deflate_parameters& wishes);

}  // namespace ferry::codec
