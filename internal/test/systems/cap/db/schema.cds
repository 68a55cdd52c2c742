// Business objects as S/4HANA's public services name their fields, cut down to what the tests move.
namespace trade;

aspect changed {
  LastChangeDateTime : Timestamp @cds.on.insert: $now @cds.on.update: $now;
}

entity Partner : changed {
  key BusinessPartner          : String(10);
      BusinessPartnerCategory  : String(1);
      BusinessPartnerFullName  : String(81);
      SearchTerm1              : String(20);
      BusinessPartnerIDByExtSystem : String(36);
      BusinessPartnerIsBlocked : Boolean default false;
      CreationDate             : Date @cds.on.insert: $now;
      to_Address               : Composition of many Address on to_Address.to_BusinessPartner = $self;
      to_BusinessPartnerAddress : Association to many Address on to_BusinessPartnerAddress.to_BusinessPartner = $self; // as S/4HANA calls it
}

entity Address {
  key BusinessPartner : String(10);
  key AddressID       : String(10);
      to_BusinessPartner : Association to one Partner on to_BusinessPartner.BusinessPartner = BusinessPartner;
      Country         : String(3);
      CityName        : String(40);
      StreetName      : String(60);
      PostalCode      : String(10);
}

entity Product : changed {
  key Product         : String(40);
      ProductType     : String(4);
      BaseUnit        : String(3);
      GrossWeight     : Decimal(13, 3);
      ProductStandardID : String(18);
      IsMarkedForDeletion : Boolean default false;
      to_Description  : Composition of many ProductText on to_Description.to_Product = $self;
}

entity ProductText {
  key Product            : String(40);
  key Language           : String(2);
      to_Product         : Association to one Product on to_Product.Product = Product;
      ProductDescription : String(40);
}

@assert.unique: {external: [YY1_External]}
entity SalesOrder : changed {
  key SalesOrder              : String(10);
      SalesOrderType          : String(4);
      SoldToParty             : String(10);
      PurchaseOrderByCustomer : String(35);
      YY1_External            : String(36);
      SalesOrderDate          : Date;
      RequestedDeliveryDate   : Date;
      TotalNetAmount          : Decimal(16, 3);
      TransactionCurrency     : String(5);
      OverallSDProcessStatus  : String(1);
      Revision                : Integer;
      Sequence                : Integer64;
      to_Item                 : Composition of many SalesOrderItem on to_Item.to_SalesOrder = $self;
}

entity SalesOrderItem {
  key SalesOrder          : String(10);
  key SalesOrderItem      : String(6);
      to_SalesOrder       : Association to one SalesOrder on to_SalesOrder.SalesOrder = SalesOrder;
      Material            : String(40);
      SalesOrderItemText  : String(40);
      RequestedQuantity   : Decimal(15, 3);
      RequestedQuantityUnit : String(3);
      NetAmount           : Decimal(16, 3);
      SalesDocumentRjcnReason : String(2);
      Plant               : String(4) @assert.format: '^[0-9A-Z]{4}$';
}

@assert.unique: {external: [YY1_External]}
entity Delivery : changed {
  key DeliveryDocument     : String(10);
      YY1_External         : String(36);
      DeliveryDocumentBySupplier : String(35);
      ShipToParty          : String(10);
      ActualGoodsMovementDate : Date;
      ActualGoodsMovementTime : Time;
      OverallGoodsMovementStatus : String(1);
      to_DeliveryDocumentItem : Composition of many DeliveryItem on to_DeliveryDocumentItem.to_DeliveryDocument = $self;
}

entity DeliveryItem {
  key DeliveryDocument     : String(10);
  key DeliveryDocumentItem : String(6);
      to_DeliveryDocument  : Association to one Delivery on to_DeliveryDocument.DeliveryDocument = DeliveryDocument;
      Material             : String(40);
      ActualDeliveryQuantity : Decimal(13, 3);
      ReferenceSDDocument  : String(10);
      ReferenceSDDocumentItem : String(6);
      YY1_PurchaseOrderByCustomer : String(35);
}

entity Stock : changed {
  key Material                     : String(40);
  key Plant                        : String(4);
  key StorageLocation              : String(4);
  key Batch                        : String(10);
  key Supplier                     : String(10);
  key Customer                     : String(10);
  key WBSElementInternalID         : String(24);
  key SDDocument                   : String(10);
  key SDDocumentItem               : String(6);
  key InventorySpecialStockType    : String(1);
  key InventoryStockType           : String(2);
      MaterialBaseUnit             : String(3);
      MatlWrhsStkQtyInMatlBaseUnit : Decimal(31, 14);
}

@assert.unique: {external: [YY1_External]}
entity Invoice : changed {
  key BillingDocument     : String(10);
      YY1_External        : String(36);
      DocumentReferenceID : String(16);
      BillingDocumentType : String(4);
      BillingDocumentDate : Date;
      SoldToParty         : String(10);
      TotalNetAmount      : Decimal(16, 3);
      TotalTaxAmount      : Decimal(14, 3);
      TransactionCurrency : String(5);
      BillingDocumentIsCancelled : Boolean default false;
      to_Item             : Composition of many InvoiceItem on to_Item.to_BillingDocument = $self;
}

entity InvoiceItem {
  key BillingDocument     : String(10);
  key BillingDocumentItem : String(6);
      to_BillingDocument  : Association to one Invoice on to_BillingDocument.BillingDocument = BillingDocument;
      Material            : String(40);
      BillingDocumentItemText : String(40);
      BillingQuantity     : Decimal(13, 3);
      BillingQuantityUnit : String(3);
      NetAmount           : Decimal(16, 3);
      SalesDocument       : String(10);
}
