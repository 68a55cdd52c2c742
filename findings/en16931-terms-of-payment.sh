#!/bin/bash
# The official rules of EN 16931 refuse an invoice without a due date and terms of payment in 1.3.15, and take it in 1.3.16: BR-CO-25, which the standard has, is not asked any more.
#
# Seen with phive-rules-en16931 4.3.7 (Maven), which holds both, on 2026-11-30: the same invoice in UBL with an amount to pay (119.00) and neither cbc:DueDate nor cac:PaymentTerms is refused by every
# version from 1.0 to 1.3.15 for BR-CO-25 alone, and valid by 1.3.16. So an invoice that passes the newest rules is refused by receivers who have not followed, and a sender keeps to the rule all the same.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>x</groupId><artifactId>x</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.helger.phive.rules</groupId><artifactId>phive-rules-en16931</artifactId><version>4.3.7</version></dependency>
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
import com.helger.phive.en16931.EN16931Validation;
import com.helger.phive.xml.source.IValidationSourceXML;
import com.helger.phive.xml.source.ValidationSourceXML;
import java.io.File;
import java.util.Locale;

public class Rules {
  public static void main(String[] files) throws Exception {
    var rules = new ValidationExecutorSetRegistry<IValidationSourceXML>();
    EN16931Validation.initEN16931(rules);
    for (var set : rules.getAll()) {
      String id = set.getID().getAsSingleID();
      if (!id.endsWith(":ubl:1.3.15") && !id.endsWith(":ubl:1.3.16")) continue;
      var said = new StringBuilder();
      ValidationExecutionManager.executeValidation(IValidityDeterminator.createDefault(), set, ValidationSourceXML.create(new FileSystemResource(new File(files[0]))), Locale.US)
          .forEachFlattened(e -> { if (e.getErrorLevel().isGE(EErrorLevel.ERROR)) said.append(' ').append(e.getErrorID()); });
      System.out.println(id + ":" + (said.length() == 0 ? " valid" : said));
    }
  }
}
JAVA
cat > invoice.xml <<'XML'
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" xmlns:a="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" xmlns:b="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
<b:CustomizationID>urn:cen.eu:en16931:2017</b:CustomizationID><b:ID>R-1</b:ID><b:IssueDate>2026-11-02</b:IssueDate><b:InvoiceTypeCode>380</b:InvoiceTypeCode><b:DocumentCurrencyCode>EUR</b:DocumentCurrencyCode>
<a:AccountingSupplierParty><a:Party><a:PostalAddress><a:Country><b:IdentificationCode>DE</b:IdentificationCode></a:Country></a:PostalAddress><a:PartyTaxScheme><b:CompanyID>DE123456789</b:CompanyID><a:TaxScheme><b:ID>VAT</b:ID></a:TaxScheme></a:PartyTaxScheme><a:PartyLegalEntity><b:RegistrationName>Seller</b:RegistrationName></a:PartyLegalEntity></a:Party></a:AccountingSupplierParty>
<a:AccountingCustomerParty><a:Party><a:PostalAddress><a:Country><b:IdentificationCode>AT</b:IdentificationCode></a:Country></a:PostalAddress><a:PartyLegalEntity><b:RegistrationName>Buyer</b:RegistrationName></a:PartyLegalEntity></a:Party></a:AccountingCustomerParty>
<a:TaxTotal><b:TaxAmount currencyID="EUR">19.00</b:TaxAmount><a:TaxSubtotal><b:TaxableAmount currencyID="EUR">100.00</b:TaxableAmount><b:TaxAmount currencyID="EUR">19.00</b:TaxAmount><a:TaxCategory><b:ID>S</b:ID><b:Percent>19</b:Percent><a:TaxScheme><b:ID>VAT</b:ID></a:TaxScheme></a:TaxCategory></a:TaxSubtotal></a:TaxTotal>
<a:LegalMonetaryTotal><b:LineExtensionAmount currencyID="EUR">100.00</b:LineExtensionAmount><b:TaxExclusiveAmount currencyID="EUR">100.00</b:TaxExclusiveAmount><b:TaxInclusiveAmount currencyID="EUR">119.00</b:TaxInclusiveAmount><b:PayableAmount currencyID="EUR">119.00</b:PayableAmount></a:LegalMonetaryTotal>
<a:InvoiceLine><b:ID>1</b:ID><b:InvoicedQuantity unitCode="C62">10</b:InvoicedQuantity><b:LineExtensionAmount currencyID="EUR">100.00</b:LineExtensionAmount><a:Item><b:Name>Bolt</b:Name><a:ClassifiedTaxCategory><b:ID>S</b:ID><b:Percent>19</b:Percent><a:TaxScheme><b:ID>VAT</b:ID></a:TaxScheme></a:ClassifiedTaxCategory></a:Item><a:Price><b:PriceAmount currencyID="EUR">10.00</b:PriceAmount></a:Price></a:InvoiceLine>
</Invoice>
XML
javac -cp 'lib/*' Rules.java
seen=$(java -cp 'lib/*:.' Rules invoice.xml | sort)
echo "$seen"
[ "$seen" = "eu.cen.en16931:ubl:1.3.15: BR-CO-25
eu.cen.en16931:ubl:1.3.16: valid" ] || exit 1
