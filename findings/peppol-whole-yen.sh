#!/bin/bash
# Peppol's rules refuse a line in yen that is rounded to whole yen, and take the same with half a yen, which nobody can pay.
#
# Seen with phive-rules-peppol 4.3.7 (Maven; Peppol BIS Billing 2026-05) on 2026-11-30: 3 pieces at 33.5 JPY make 100.5. A line of 101 JPY, or of 100, is refused (PEPPOL-EN16931-R120: the line's amount must be quantity by price,
# within 0.02 in every currency), one of 100.5 JPY is valid, although ISO 4217 gives the yen no minor unit. So prices in such currencies must make whole amounts on each line, or the rounding stands in an allowance or a charge of the line.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>x</groupId><artifactId>x</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.helger.phive.rules</groupId><artifactId>phive-rules-peppol</artifactId><version>4.3.7</version></dependency>
    <dependency><groupId>org.glassfish.jaxb</groupId><artifactId>jaxb-runtime</artifactId><version>4.0.5</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib > /dev/null
cat > Rules.java <<'JAVA'
import com.helger.diagnostics.error.level.EErrorLevel;
import com.helger.io.resource.FileSystemResource;
import com.helger.phive.api.execute.ValidationExecutionManager;
import com.helger.phive.api.executorset.ValidationExecutorSetRegistry;
import com.helger.phive.api.validity.IValidityDeterminator;
import com.helger.phive.peppol.PeppolValidation;
import com.helger.phive.peppol.PeppolValidation2026_05;
import com.helger.phive.xml.source.IValidationSourceXML;
import com.helger.phive.xml.source.ValidationSourceXML;
import java.io.File;
import java.util.Locale;

public class Rules {
  public static void main(String[] files) throws Exception {
    var rules = new ValidationExecutorSetRegistry<IValidationSourceXML>();
    PeppolValidation.initStandard(rules);
    for (String file : files) {
      var said = new StringBuilder();
      ValidationExecutionManager.executeValidation(IValidityDeterminator.createDefault(), rules.getOfID(PeppolValidation2026_05.VID_OPENPEPPOL_INVOICE_UBL_V3),
              ValidationSourceXML.create(new FileSystemResource(new File(file))), Locale.US)
          .forEachFlattened(e -> { if (e.getErrorLevel().isGE(EErrorLevel.ERROR)) said.append(' ').append(e.getErrorID()); });
      System.out.println(file + ":" + (said.length() == 0 ? " valid" : said));
    }
  }
}
JAVA
cat > line.xml <<'XML'
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" xmlns:a="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" xmlns:b="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
<b:CustomizationID>urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0</b:CustomizationID><b:ProfileID>urn:fdc:peppol.eu:2017:poacc:billing:01:1.0</b:ProfileID><b:ID>R-1</b:ID><b:IssueDate>2026-11-02</b:IssueDate><b:DueDate>2026-12-02</b:DueDate><b:InvoiceTypeCode>380</b:InvoiceTypeCode><b:DocumentCurrencyCode>JPY</b:DocumentCurrencyCode><b:BuyerReference>4711</b:BuyerReference>
<a:AccountingSupplierParty><a:Party><b:EndpointID schemeID="0088">4012345000009</b:EndpointID><a:PostalAddress><a:Country><b:IdentificationCode>JP</b:IdentificationCode></a:Country></a:PostalAddress><a:PartyLegalEntity><b:RegistrationName>Seller</b:RegistrationName><b:CompanyID>1234567</b:CompanyID></a:PartyLegalEntity></a:Party></a:AccountingSupplierParty>
<a:AccountingCustomerParty><a:Party><b:EndpointID schemeID="0088">4012345000009</b:EndpointID><a:PostalAddress><a:Country><b:IdentificationCode>JP</b:IdentificationCode></a:Country></a:PostalAddress><a:PartyLegalEntity><b:RegistrationName>Buyer</b:RegistrationName></a:PartyLegalEntity></a:Party></a:AccountingCustomerParty>
<a:TaxTotal><b:TaxAmount currencyID="JPY">0</b:TaxAmount><a:TaxSubtotal><b:TaxableAmount currencyID="JPY">LINE</b:TaxableAmount><b:TaxAmount currencyID="JPY">0</b:TaxAmount><a:TaxCategory><b:ID>O</b:ID><b:TaxExemptionReason>Not subject to VAT</b:TaxExemptionReason><a:TaxScheme><b:ID>VAT</b:ID></a:TaxScheme></a:TaxCategory></a:TaxSubtotal></a:TaxTotal>
<a:LegalMonetaryTotal><b:LineExtensionAmount currencyID="JPY">LINE</b:LineExtensionAmount><b:TaxExclusiveAmount currencyID="JPY">LINE</b:TaxExclusiveAmount><b:TaxInclusiveAmount currencyID="JPY">LINE</b:TaxInclusiveAmount><b:PayableAmount currencyID="JPY">LINE</b:PayableAmount></a:LegalMonetaryTotal>
<a:InvoiceLine><b:ID>1</b:ID><b:InvoicedQuantity unitCode="C62">3</b:InvoicedQuantity><b:LineExtensionAmount currencyID="JPY">LINE</b:LineExtensionAmount><a:Item><b:Name>Bolt</b:Name><a:ClassifiedTaxCategory><b:ID>O</b:ID><a:TaxScheme><b:ID>VAT</b:ID></a:TaxScheme></a:ClassifiedTaxCategory></a:Item><a:Price><b:PriceAmount currencyID="JPY">33.5</b:PriceAmount></a:Price></a:InvoiceLine>
</Invoice>
XML
for amount in 100.5 101 100; do sed "s/LINE/$amount/g" line.xml > "$amount-JPY.xml"; done
javac -cp 'lib/*' Rules.java
seen=$(java -cp 'lib/*:.' Rules 100.5-JPY.xml 101-JPY.xml 100-JPY.xml)
echo "$seen"
[ "$seen" = "100.5-JPY.xml: valid
101-JPY.xml: PEPPOL-EN16931-R120
100-JPY.xml: PEPPOL-EN16931-R120" ] || exit 1
