#include "net/http_head.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "net/http_text.hpp"

namespace ferry::net {
namespace {

namespace http = boost::beast::http;

template <class Parser>
bool parse(Parser& parser, std::string_view head, http_head& into, std::string& wrong) {
  // A line that goes on in the next one is read differently by different servers (RFC 7230, section 3.2.4).
  if (head.find("\r\n ") != std::string_view::npos || head.find("\r\n\t") != std::string_view::npos) {
    wrong = "a header goes over several lines";
    return false;
  }
  parser.header_limit(static_cast<std::uint32_t>(head.size()) + 1);  // the limit was checked
  parser.skip(true);
  boost::system::error_code failed;
  parser.put(boost::asio::buffer(head.data(), head.size()), failed);
  if (failed || !parser.is_header_done()) {
    wrong = failed ? failed.message() : "the head ends too early";
    return false;
  }
  const auto& message = parser.get();
  into.version = static_cast<int>(message.version());
  for (const auto& field : message) into.fields.emplace_back(field.name_string(), field.value());
  return true;
}

}  // namespace

head_outcome gather_head(std::string& head, bytes in, std::size_t limit, std::size_t& consumed) {
  const std::string_view text(reinterpret_cast<const char*>(in.data()), in.size());
  consumed = 0;
  for (const char c : text) {
    if (head.size() == limit) return head_outcome::too_large;
    if ((static_cast<unsigned char>(c) < ' ' && c != '\r' && c != '\n' && c != '\t') || c == 127)
      return head_outcome::no_http;
    head.push_back(c);
    ++consumed;
    if (c == '\n' && head.ends_with("\r\n\r\n")) return head_outcome::whole;
  }
  return head_outcome::need_more;
}

bool parse_request_head(std::string_view head, http_head& into, std::string& wrong) {
  http::request_parser<http::empty_body> parser;
  if (!parse(parser, head, into, wrong)) return false;
  into.method = std::string(parser.get().method_string());
  into.target = std::string(parser.get().target());
  return true;
}

bool parse_response_head(std::string_view head, http_head& into, std::string& wrong) {
  http::response_parser<http::empty_body> parser;
  if (!parse(parser, head, into, wrong)) return false;
  into.status = static_cast<int>(parser.get().result_int());
  into.reason = one_line({parser.get().reason().data(), parser.get().reason().size()}, 80);
  return true;
}

}  // namespace ferry::net
