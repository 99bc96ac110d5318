#include <ferry/errc.hpp>

int main() { return ferry::to_std(ferry::errc::timeout) == ferry::errc::timeout ? 0 : 1; }
