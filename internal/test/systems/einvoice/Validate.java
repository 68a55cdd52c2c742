import com.helger.diver.api.coord.DVRCoordinate;
import com.helger.io.resource.FileSystemResource;
import com.helger.phive.api.execute.ValidationExecutionManager;
import com.helger.phive.api.executorset.ValidationExecutorSetRegistry;
import com.helger.phive.api.validity.IValidityDeterminator;
import com.helger.phive.en16931.EN16931Validation;
import com.helger.phive.peppol.PeppolValidation;
import com.helger.phive.peppol.PeppolValidation2026_05;
import com.helger.phive.xml.source.IValidationSourceXML;
import com.helger.phive.xml.source.ValidationSourceXML;
import java.io.File;
import java.nio.file.Files;
import java.util.Locale;

/** Holds e-invoices against the official rules: schemas, EN 16931 and, for files that say so, Peppol BIS Billing. It prints a line for each file, and a line for each error of it. */
public final class Validate {
  public static void main(String[] files) throws Exception {
    ValidationExecutorSetRegistry<IValidationSourceXML> rules = new ValidationExecutorSetRegistry<>();
    EN16931Validation.initEN16931(rules);
    PeppolValidation.initStandard(rules);
    for (String name : files) {
      File file = new File(name);
      var set = rules.getOfID(rulesOf(file));
      var results = ValidationExecutionManager.executeValidation(IValidityDeterminator.createDefault(), set, ValidationSourceXML.create(new FileSystemResource(file)), Locale.US);
      System.out.println("file\t" + name);
      results.forEachFlattened(error -> {
        String level = error.getErrorLevel().isGE(com.helger.diagnostics.error.level.EErrorLevel.ERROR) ? "error" : "warning";
        String id = error.getErrorID() == null ? "" : error.getErrorID();
        System.out.println(level + "\t" + id + "\t" + error.getErrorText(Locale.US).replaceAll("\\s+", " "));
      });
    }
  }

  private static DVRCoordinate rulesOf(File file) throws Exception {
    String text = Files.readString(file.toPath());
    boolean credit = text.contains("<CreditNote");
    if (text.contains("CrossIndustryInvoice")) {
      return EN16931Validation.VID_CII_1316;
    }
    if (text.contains("urn:fdc:peppol.eu:2017:poacc:billing:3.0")) {
      return credit ? PeppolValidation2026_05.VID_OPENPEPPOL_CREDIT_NOTE_UBL_V3 : PeppolValidation2026_05.VID_OPENPEPPOL_INVOICE_UBL_V3;
    }
    return credit ? EN16931Validation.VID_UBL_CREDIT_NOTE_1316 : EN16931Validation.VID_UBL_INVOICE_1316;
  }
}
