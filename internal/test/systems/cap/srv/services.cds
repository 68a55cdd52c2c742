using trade from '../db/schema';

@path: 'API_BUSINESS_PARTNER' @requires: 'authenticated-user'
service API_BUSINESS_PARTNER {
  entity A_BusinessPartner        as projection on trade.Partner;
  entity A_BusinessPartnerAddress as projection on trade.Address;
}

@path: 'API_PRODUCT_SRV' @requires: 'authenticated-user'
service API_PRODUCT_SRV {
  entity A_Product            as projection on trade.Product;
  entity A_ProductDescription as projection on trade.ProductText;
}

@path: 'API_SALES_ORDER_SRV' @requires: 'authenticated-user'
service API_SALES_ORDER_SRV {
  @cds.query.limit: {default: 5, max: 5}
  entity A_SalesOrder     as projection on trade.SalesOrder;
  entity A_SalesOrderItem as projection on trade.SalesOrderItem;
}

@path: 'API_OUTBOUND_DELIVERY_SRV' @requires: 'authenticated-user'
service API_OUTBOUND_DELIVERY_SRV {
  entity A_OutbDeliveryHeader as projection on trade.Delivery;
  entity A_OutbDeliveryItem   as projection on trade.DeliveryItem;
}

@path: 'API_MATERIAL_STOCK_SRV' @requires: 'authenticated-user'
service API_MATERIAL_STOCK_SRV {
  entity A_MatlStkInAcctMod as projection on trade.Stock;
}

@path: 'API_BILLING_DOCUMENT_SRV' @requires: 'authenticated-user'
service API_BILLING_DOCUMENT_SRV {
  entity A_BillingDocument     as projection on trade.Invoice;
  entity A_BillingDocumentItem as projection on trade.InvoiceItem;
}

// The entities whose writes are guarded by the time of their last change, as most of S/4HANA's are. Stock has no token.
annotate API_BUSINESS_PARTNER.A_BusinessPartner with { LastChangeDateTime @odata.etag };
annotate API_PRODUCT_SRV.A_Product with { LastChangeDateTime @odata.etag };
annotate API_SALES_ORDER_SRV.A_SalesOrder with { LastChangeDateTime @odata.etag };
annotate API_OUTBOUND_DELIVERY_SRV.A_OutbDeliveryHeader with { LastChangeDateTime @odata.etag };
annotate API_BILLING_DOCUMENT_SRV.A_BillingDocument with { LastChangeDateTime @odata.etag };
