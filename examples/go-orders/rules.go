package main

// What the service knows: discounts by product, a risk limit by account. The tables are the same as
// in tailcut's own order service (loadgen/src/order/rules.rs).

const maxQuantity = 100_000

// A price is what an order costs, in cents.
type price struct{ gross, discount uint64 }

func (p price) net() uint64 { return p.gross - p.discount }

type priceRule struct {
	fromQuantity uint32 // from here on the discount applies
	basisPoints  uint32 // in hundredths of a percent
}

func newPriceRules() []priceRule {
	rules := make([]priceRule, skus)
	for i := range rules {
		sku := uint32(i)
		rules[i] = priceRule{fromQuantity: 2 + sku%9, basisPoints: sku * 37 % 1500}
	}
	return rules
}

// priceOf prices items, or refuses them: a quantity of none or too many, or no price.
func priceOf(items []Item, rules []priceRule) (price, bool) {
	var total price
	for _, item := range items {
		if item.Quantity == 0 || item.Quantity > maxQuantity || item.PriceCents == 0 {
			return price{}, false
		}
		// At most 10^5 * 2^32 an item: eight of them, and times 1500, fit a uint64.
		gross := uint64(item.Quantity) * uint64(item.PriceCents)
		total.gross += gross
		if int(item.SKU) < len(rules) {
			if rule := rules[item.SKU]; item.Quantity >= rule.fromQuantity {
				total.discount += gross * uint64(rule.basisPoints) / 10_000
			}
		}
	}
	return total, true
}

// A riskBook holds what each account has open in the current window, against what it may.
type riskBook struct {
	accounts []riskAccount
	window   uint64 // exposure of an older window counts as zero: settling forgets all in O(1)
}

type riskAccount struct{ limit, open, window uint64 }

func newRiskBook(window uint64) riskBook {
	const typicalOrderCents = 200_000
	ordersInHundredths := window * 100 / accounts
	book := riskBook{accounts: make([]riskAccount, accounts)}
	for number := range book.accounts {
		share := 400 + 5*(uint64(number)%81)
		orders := ordersInHundredths/100*share/100 + 10
		book.accounts[number].limit = orders * typicalOrderCents
	}
	return book
}

// book books cents on an account; not if the account is unknown or would exceed its limit.
func (b *riskBook) book(account uint32, cents uint64) bool {
	if int(account) >= len(b.accounts) {
		return false
	}
	entry := &b.accounts[account]
	open := uint64(0)
	if entry.window == b.window {
		open = entry.open
	}
	if open += cents; open > entry.limit {
		return false
	}
	entry.open, entry.window = open, b.window
	return true
}

func (b *riskBook) settle() { b.window++ }
