#!/bin/bash
# npm's soap reads xsd:decimal and xsd:long as doubles: amounts of many digits arrive changed, and nothing says so.
#
# Seen with soap 1.13.0 on 2026-11-30: a service made of a WSDL is sent <amount>1234567890123456.78</amount> (xsd:decimal) and <number>9007199254740993</number> (xsd:long), both valid;
# its handler is given 1234567890123456.8 and 9007199254740992. XML Schema (part 2, 3.2.3) wants 18 digits of a decimal at least. xsd:string arrives as it is.
# So amounts for such a service go in elements of type string, or stay below 15 digits.
set -euo pipefail
dir=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir"
echo '{"name": "soap-decimals", "version": "1.0.0", "private": true, "dependencies": {"soap": "1.13.0"}}' > package.json
npm install --no-audit --no-fund --silent > /dev/null 2>&1
cat > s.wsdl <<'XML'
<definitions name="S" targetNamespace="urn:s" xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:s" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <types><xsd:schema targetNamespace="urn:s" elementFormDefault="qualified">
    <xsd:element name="Book"><xsd:complexType><xsd:sequence>
      <xsd:element name="amount" type="xsd:decimal"/><xsd:element name="number" type="xsd:long"/><xsd:element name="text" type="xsd:string"/>
    </xsd:sequence></xsd:complexType></xsd:element>
    <xsd:element name="BookResponse"><xsd:complexType><xsd:sequence><xsd:element name="seen" type="xsd:string"/></xsd:sequence></xsd:complexType></xsd:element>
  </xsd:schema></types>
  <message name="In"><part name="p" element="t:Book"/></message><message name="Out"><part name="p" element="t:BookResponse"/></message>
  <portType name="S"><operation name="Book"><input message="t:In"/><output message="t:Out"/></operation></portType>
  <binding name="S" type="t:S"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Book"><soap:operation soapAction="urn:s:Book"/><input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation></binding>
  <service name="S"><port name="S" binding="t:S"><soap:address location="http://127.0.0.1/s"/></port></service>
</definitions>
XML
cat > server.js <<'JS'
const soap = require('soap'), server = require('http').createServer()
server.listen(0, '127.0.0.1', () => {
  soap.listen(server, {path: '/s', xml: require('fs').readFileSync('s.wsdl', 'utf8'), services: {S: {S: {Book: a => ({seen: `${a.amount} ${a.number} ${a.text}`})}}}})
  console.log(server.address().port)
})
JS
node server.js > port & pid=$!
for _ in $(seq 1 100); do [ -s port ] && break; sleep 0.1; done
seen=$(curl -s -H 'content-type: text/xml' -H 'SOAPAction: "urn:s:Book"' "http://127.0.0.1:$(cat port)/s" -d '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><Book xmlns="urn:s"><amount>1234567890123456.78</amount><number>9007199254740993</number><text>12.50</text></Book></e:Body></e:Envelope>' |
  sed -n 's/.*seen>\([^<]\{1,\}\)<.*/\1/p')
echo "soap $(node -p 'require("soap/package.json").version'), node $(node --version)"
echo "sent 1234567890123456.78 9007199254740993 12.50"
echo "seen $seen"
[ "$seen" = "1234567890123456.8 9007199254740992 12.50" ] || exit 1
echo "the decimal and the long were changed"
